"""The wanted kinds of a cluster: one list for each, all of them at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from egops.errors import AccessError, EgopsError
from egops.gatewayapi import (
    APPLICATION,
    CONFIG_MAP,
    CONFIG_NAME,
    DAEMON_SET,
    DEPLOYMENT,
    DERIVED,
    ENVOY_GATEWAY,
    HELM_RELEASE,
    HELM_VALUES,
    SECRET,
)
from egops.gather.api import JSON, StatusError, path_of
from egops.gather.asker import CutError
from egops.gather.helm_values import of_release
from egops.gather.manifests import envoy_gateway_config
from egops.snapshot import Kind, Resource, items, section, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.api import Api, Query
    from egops.gather.workers import Workers

    Heard = Callable[[Kind, list[Resource] | None, str], None]

OBJECTS = "objects"  # the name under which progress hears of the lists
# groups that every API server has: their lists need not wait for discovery
ALWAYS = frozenset(
    {
        "", "apps", "batch", "autoscaling", "policy", "discovery.k8s.io", "coordination.k8s.io",
        "networking.k8s.io", "apiextensions.k8s.io", "admissionregistration.k8s.io",
    }
)  # fmt: skip
RELEASES = (HELM_RELEASE, APPLICATION)  # what HELM_VALUES is made of
SCALED = frozenset({DEPLOYMENT, DAEMON_SET})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HELM = "helm.sh/release.v1"
METADATA_ONLY = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
# secrets of these types are known to be there, and no more is kept of them
SEALED = frozenset(
    {
        HELM, "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token",
        "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson", "kubernetes.io/ssh-auth",
    }
)  # fmt: skip


class Lists:
    """What is known of each kind so far: its objects, or why there are none."""

    def __init__(
        self,
        api: Api,
        source: SourceOptions,
        wanted: Wanted,
        progress: Progress,
        workers: Workers,
    ) -> None:
        """Take what to ask for and how."""
        self._api, self._namespace = api, source.namespace
        self._wanted, self._progress, self._workers = wanted.kinds, progress, workers
        self.kinds = frozenset(kind for kind in wanted.kinds if kind not in DERIVED)
        if HELM_VALUES in wanted.kinds:
            self.kinds |= set(RELEASES)
        self._heard: dict[Kind, Heard] = {}
        self._lock = threading.Lock()
        self._settled = False
        self.found: dict[Kind, list[Resource]] = {}
        self.unread: dict[Kind, str] = {}
        self.absent: set[Kind] = set()
        self.partly: set[Kind] = set()

    def tell(self, kind: Kind, heard: Heard) -> None:
        """Call `heard` with the objects of a kind (None if unread) and the reason, when known."""
        self._heard[kind] = heard

    def start(self) -> None:
        """Queue the first requests; they queue the others."""
        config_alone = ENVOY_GATEWAY in self._wanted and CONFIG_MAP not in self.kinds
        self._progress.start(OBJECTS, len(self.kinds) + config_alone)
        to_discover = sorted(kind for kind in self.kinds if kind.group not in ALWAYS)
        if to_discover:
            self._workers.submit(lambda: self._discover(to_discover))
        for kind in sorted(self.kinds.difference(to_discover)):
            self._submit(kind, kind.versions)
        if config_alone:
            self._workers.submit(self._read_config)

    def settle(self, late: str) -> None:
        """Make the derived kinds of what is there; a kind without an answer is unread: `late`."""
        with self._lock:
            self._settled = True
            for kind in self.kinds - self.found.keys() - self.absent - self.unread.keys():
                self.unread[kind] = late
            for derived, makers in ((ENVOY_GATEWAY, (CONFIG_MAP,)), (HELM_VALUES, RELEASES)):
                if derived not in self._wanted or derived in self.found or derived in self.unread:
                    continue
                if missing := [self.unread[kind] for kind in makers if kind in self.unread]:
                    self.unread[derived] = missing[0]
                elif makers == (CONFIG_MAP,) and CONFIG_MAP not in self.kinds:
                    self.unread[derived] = late
                else:
                    self.found[derived] = _derived(derived, self.found)
            for kind in (CONFIG_MAP, *RELEASES):
                if kind not in self._wanted:
                    self.found.pop(kind, None)

    def _submit(self, kind: Kind, versions: tuple[str, ...]) -> None:
        self._workers.submit(lambda: self._read(kind, lambda: self._list(kind, versions)))

    def _discover(self, kinds: list[Kind]) -> None:
        try:
            served = guarded(self._api, self._api.served)
        except Skipped as exc:
            for kind in kinds:
                self._keep(kind, None, exc.reason)
            return
        for kind in kinds:
            if served is None:  # an old server: try the versions in turn
                self._submit(kind, kind.versions)
                continue
            versions = served.get((kind.group, kind.plural), ())
            known = tuple(version for version in kind.versions if version in versions)
            if known:
                self._submit(kind, known[:1])
            elif versions:
                reason = f"served only as {', '.join(versions)}, unknown to egops"
                self._keep(kind, None, reason)
            else:
                self._keep(kind, None)

    def _read(self, kind: Kind, read: Callable[[], list[Resource] | None]) -> None:
        try:
            self._keep(kind, guarded(self._api, read))
        except Skipped as exc:
            self._keep(kind, None, exc.reason)

    def _list(self, kind: Kind, versions: tuple[str, ...]) -> list[Resource] | None:
        """Return the objects of a kind, or None if it is not served."""
        for version in versions:
            try:
                if kind == SECRET:
                    return self._secrets()
                return resources(kind, *self.items(kind, version))
            except StatusError as exc:
                if exc.status != 404:
                    raise
        return None

    def items(
        self, kind: Kind, version: str, query: Query = (), accept: str = JSON
    ) -> tuple[list[dict[str, Any]], str, str]:
        """Return the items of all namespaces: what is judged in one refers to others.

        Who may not list them all, and named a namespace, gets those of that namespace.
        """
        try:
            return self._api.items(path_of(kind.group, version, kind.plural), query, accept)
        except StatusError as exc:
            if exc.status != 403 or not self._namespace or not kind.namespaced:
                raise
        path = path_of(kind.group, version, kind.plural, self._namespace)
        found = self._api.items(path, query, accept)
        with self._lock:
            if not self._settled:
                self.partly.add(kind)
        return found

    def _secrets(self) -> list[Resource]:
        """Return the secrets, without what nobody needs; Helm's are read without their payload."""
        query = (("fieldSelector", f"type!={HELM}"),)
        found, api_version, kind = self.items(SECRET, "v1", query)
        for item in found:
            annotations = section(item, "metadata", "annotations")
            cast("dict[str, Any]", annotations).pop(LAST_APPLIED, None)  # a copy of the data
            if item.get("type") in SEALED:
                item.pop("data", None)
                item.pop("stringData", None)
        query = (("fieldSelector", f"type={HELM}"),)
        releases, _, _ = self.items(SECRET, "v1", query, METADATA_ONLY)
        found += [{"metadata": item.get("metadata"), "type": HELM} for item in releases]
        return resources(SECRET, found, api_version, kind)

    def _read_config(self) -> None:
        """Read the configurations of Envoy Gateway, and no other config map."""
        query = (("fieldSelector", f"metadata.name={CONFIG_NAME}"),)

        def read() -> list[Resource]:
            found = resources(CONFIG_MAP, *self.items(CONFIG_MAP, "v1", query))
            return _derived(ENVOY_GATEWAY, {CONFIG_MAP: found})

        self._read(ENVOY_GATEWAY, read)

    def _keep(self, kind: Kind, found: list[Resource] | None, reason: str = "") -> None:
        with self._lock:
            if self._settled:
                return
            if found is not None:
                self.found[kind] = found
            elif reason:
                self.unread[kind] = reason
            else:
                self.absent.add(kind)
        self._progress.advance(OBJECTS)
        if heard := self._heard.get(kind):
            heard(kind, found, reason)


def resources(
    kind: Kind, found: list[dict[str, Any]], api_version: str, name: str
) -> list[Resource]:
    """Return the items of a list as objects; a built-in kind's items do not say what they are.

    Which field somebody set is a third of many objects, and asked only of those that scale.
    """
    if kind not in SCALED:
        for item in found:
            for _, entry in items(item, "metadata", "managedFields"):
                cast("dict[str, Any]", entry).pop("fieldsV1", None)
    head = {"apiVersion": api_version or kind.api_version, "kind": name or kind.name}
    return [
        Resource(kind, item if "kind" in item else {**head, **item})
        for item in found
        if text(item, "metadata", "name")
    ]


def _derived(kind: Kind, found: dict[Kind, list[Resource]]) -> list[Resource]:
    """Return the objects of a kind that are made of others."""
    if kind == ENVOY_GATEWAY:
        config_maps = found.get(CONFIG_MAP, ())
        return [envoy_gateway_config(each) for each in config_maps if each.name == CONFIG_NAME]
    releases = [release for maker in RELEASES for release in found.get(maker, ())]
    made = [each for release in releases for each in of_release(release)]
    return [each for each in made if each.kind == kind]  # the config map tells the rest


class Skipped(Exception):  # noqa: N818 - it is no error of the command
    """One part could not be read, and the rest goes on."""

    def __init__(self, reason: str) -> None:
        """Take the reason in one line."""
        super().__init__(reason)
        self.reason = reason


def guarded(api: Api, work: Callable[[], Any]) -> Any:
    """Return what `work` returns.

    Raises:
        Skipped: it failed.
        EgopsError: the API server has never answered, or does not take the credentials; that stops
            everything.
    """
    try:
        return work()
    except (CutError, AccessError):
        raise
    except EgopsError as exc:
        if not api.answered:
            raise
        raise Skipped(exc.message) from None
