"""Carry out changes in a cluster: server-side apply, dry-run, delete. The only module that writes.

Objects of ours carry the label `app.kubernetes.io/managed-by: egops`; nothing else is deleted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

import orjson

from egops.errors import AccessError, EgopsError, InputError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egops.gather.kubeconfig import Connection

MANAGER = "egops"
MOST_CAUSES = 3  # of a refusal that are told
MERGE_PATCH = "application/merge-patch+json"
MANAGED_BY = "app.kubernetes.io/managed-by"
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """One API of the cluster: `apps/v1`, `Deployment`, `deployments`."""

    version: str
    kind: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of the list, of a namespace's list, or of one object."""
        root = "/api/v1" if self.version == "v1" else f"/apis/{self.version}"
        scope = f"/namespaces/{quote(namespace)}" if namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{quote(name)}" if name else "")


class ConflictError(EgopsError):
    """Someone else owns a field that we would write, or changed the object meanwhile."""


class Cluster(Protocol):
    """A cluster that can be read and written, one object at a time."""

    def find(self, api: Api, namespace: str, name: str) -> Object | None:
        """Return an object, or None if it or its kind does not exist."""

    def list(self, api: Api, *, namespace: str = "", labels: str = "") -> Sequence[Object] | None:
        """Return objects, or None if the cluster has no such kind."""

    def apply(self, api: Api, thing: Object, *, force: bool, dry_run: bool) -> Object:
        """Apply an object server-side and return what became of it."""

    def delete(self, api: Api, thing: Object, *, dry_run: bool) -> None:
        """Delete an object of ours, if it still is the one that was read."""


class Editor(Cluster, Protocol):
    """A cluster whose objects are changed in part, each against the version that was read."""

    def create(self, api: Api, thing: Object, *, dry_run: bool = False) -> Object:
        """Create an object, or raise ConflictError if it exists; reviews are created too."""

    def merge(self, api: Api, ref: ObjectName, patch: Object, *, dry_run: bool = False) -> Object:
        """Merge a patch into an object; `metadata.resourceVersion` in it guards the write."""

    def time(self) -> datetime:
        """Return the API server's time, the clock by which certificates are judged."""


class ObjectName(NamedTuple):
    """Namespace (empty for what has none) and name of an object."""

    namespace: str
    name: str


def is_ours(thing: Object) -> bool:
    """Return whether egops made the object."""
    labels = (thing.get("metadata") or {}).get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER


class KubernetesCluster:
    """The cluster of a kubeconfig."""

    def __init__(self, connection: Connection, *, seconds: float = 10.0) -> None:
        """Take the way to the API server and the limit for each request."""
        from egops.gather.http import Calls  # noqa: PLC0415 - only who writes needs a client

        self._connection = connection
        self._seconds = seconds
        self._calls = Calls()
        self._ahead: timedelta | None = None  # by how much the API server's clock is ahead of ours

    def find(self, api: Api, namespace: str, name: str) -> Object | None:
        """Return an object, or None if it or its kind does not exist."""
        status, body = self._request("GET", api.path(namespace, name))
        return None if status == 404 else _object(self._checked(status, body, f"read {name}"))

    def list(self, api: Api, *, namespace: str = "", labels: str = "") -> list[Object] | None:
        """Return objects, or None if the cluster has no such kind."""
        found: list[Object] = []
        query = {"limit": "500"} | ({"labelSelector": labels} if labels else {})
        while True:
            status, body = self._request("GET", api.path(namespace), query)
            if status == 404:
                return None
            page = _object(self._checked(status, body, f"list {api.plural}"))
            items = page.get("items") or []
            found += [item | {"apiVersion": api.version, "kind": api.kind} for item in items]
            query["continue"] = (page.get("metadata") or {}).get("continue") or ""
            if not query["continue"]:
                return found

    def apply(self, api: Api, thing: Object, *, force: bool, dry_run: bool) -> Object:
        """Apply an object server-side and return what became of it.

        Raises ConflictError when another manager owns a field and `force` is not given, InputError
        when the API server or a webhook refuses the object.
        """
        meta = thing["metadata"]
        query = {"fieldManager": MANAGER, "force": str(force).lower()}
        query |= {"dryRun": "All"} if dry_run else {}
        path = api.path(meta.get("namespace", ""), meta["name"])
        status, body = self._request(
            "PATCH", path, query, body=orjson.dumps(thing), media="application/apply-patch+yaml"
        )
        return _object(self._checked(status, body, f"apply {api.kind} {meta['name']}"))

    def delete(self, api: Api, thing: Object, *, dry_run: bool) -> None:
        """Delete an object of ours, if it still is the one that was read."""
        meta = thing["metadata"]
        if not is_ours(thing):
            raise InputError(f"{api.kind} {meta['name']} was not made by egops; it stays")
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        options["preconditions"] = {"uid": meta["uid"]} if meta.get("uid") else {}
        options |= {"dryRun": ["All"]} if dry_run else {}
        path = api.path(meta.get("namespace", ""), meta["name"])
        status, body = self._request("DELETE", path, body=orjson.dumps(options))
        if status != 404:
            self._checked(status, body, f"delete {api.kind} {meta['name']}")

    def create(self, api: Api, thing: Object, *, dry_run: bool = False) -> Object:
        """Create an object and return what became of it.

        Raises:
            ConflictError: an object of this name exists.
        """
        meta = thing.get("metadata") or {}
        query = {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})
        path = api.path(meta.get("namespace", ""))
        status, body = self._request("POST", path, query, body=orjson.dumps(thing))
        name = f"{api.kind} {meta.get('name', '')}".strip()
        return _object(self._checked(status, body, f"create {name}"))

    def merge(self, api: Api, ref: ObjectName, patch: Object, *, dry_run: bool = False) -> Object:
        """Merge a patch into an object and return it; what the patch does not name stays.

        Raises:
            ConflictError: the patch has a `metadata.resourceVersion`, and the object another one.
        """
        query = {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})
        status, body = self._request(
            "PATCH", api.path(*ref), query, body=orjson.dumps(patch), media=MERGE_PATCH
        )
        return _object(self._checked(status, body, f"change {api.kind} {ref.name}"))

    def time(self) -> datetime:
        """Return the API server's time, from the Date header of its answers."""
        if self._ahead is None:
            self._request("GET", "/version")
        return datetime.now(UTC) + (self._ahead or timedelta())

    def _request(
        self,
        verb: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: bytes | None = None,
        media: str = "application/json",
    ) -> tuple[int, bytes]:
        url = f"{self._connection.server}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = self._connection.headers()
        if body is not None:
            headers["content-type"] = media
        with self._calls.call(self._connection.server, self._seconds):
            answer = self._connection.pool.request(
                verb, url, body=body, headers=headers, timeout=self._seconds, retries=False
            )
        if date := answer.headers.get("date"):
            with suppress(ValueError, TypeError):
                self._ahead = parsedate_to_datetime(date) - datetime.now(UTC)
        return answer.status, answer.data

    def _checked(self, status: int, body: bytes, doing: str) -> bytes:
        if 200 <= status < 300:
            return body
        said = _said(body)
        if 400 <= status < 500 and "denied the request" in said:
            # a webhook chooses the status as it likes; what it says of the object is the point
            raise InputError(f"cannot {doing}: {said}")
        match status:
            case 401:
                raise AccessError(f"the API server does not accept the credentials to {doing}")
            case 403:
                raise AccessError(f"cannot {doing}: {said}")
            case 409:
                raise ConflictError(
                    f"cannot {doing}: {said}", hint="see the diff; --overwrite takes the fields"
                )
            case 400 | 404 | 413 | 422:
                raise InputError(f"cannot {doing}: {said}")
            case _:
                down = "failed calling webhook" in said
                raise UnreachableError(
                    f"cannot {doing}: the API server answered {status}: {said}",
                    hint="the webhook does not answer: is its operator up?" if down else "",
                )


def _object(body: bytes) -> Object:
    found = orjson.loads(body)
    if not isinstance(found, dict):
        raise UnreachableError("the API server's answer is not an object")
    return found


def _said(body: bytes) -> str:
    """Return the server's words, with what a webhook gives as causes: there is the reason."""
    from egops.gather.asker import said_in  # noqa: PLC0415 - only to explain errors

    words = said_in(body) or "no reason given"
    causes = [cause for cause in _causes(body) if cause not in words]
    more = f" (and {len(causes) - MOST_CAUSES} more)" if len(causes) > MOST_CAUSES else ""
    return ": ".join(filter(None, (words, "; ".join(causes[:MOST_CAUSES])))) + more


def _causes(body: bytes) -> list[str]:
    try:
        details = orjson.loads(body).get("details") or {}
        return [str(cause["message"]) for cause in details.get("causes") or []]
    except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError):
        return []
