"""The writer of a cluster, against a server that follows the Kubernetes API."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from egops.apply import Api, ConflictError, KubernetesCluster, ObjectName, is_ours
from egops.errors import AccessError, InputError, UnreachableError
from egops.gather import SourceOptions
from egops.gather.kubeconfig import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG_MAP = Api("v1", "ConfigMap", "configmaps")
RULE = Api("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules")
OURS = {"app.kubernetes.io/managed-by": "egops"}


class ApiServer:
    """ConfigMaps by namespace and name; the next answer can be set to a failure."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, list[str]], str]] = []
        self.failure: tuple[int, str] | None = None
        self.ahead = timedelta()
        self.causes: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                media = self.headers.get("Content-Type") or ""
                status, said = server.answer(self.command, self.path, media, body)
                text = json.dumps(said).encode()
                self.send_response_only(status)
                now = datetime.now(UTC) + server.ahead
                self.send_header("Date", format_datetime(now, usegmt=True))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                self._do()

            def do_POST(self) -> None:
                self._do()

            def do_PATCH(self) -> None:
                self._do()

            def do_DELETE(self) -> None:
                self._do()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, verb: str, target: str, media: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        self.requests.append((verb, parts.path, query, media))
        if self.failure is not None:
            status, message = self.failure
            details = {"causes": [{"message": cause} for cause in self.causes]}
            return status, {
                "kind": "Status",
                "message": message,
                "code": status,
                "details": details,
            }
        if "/configmaps" not in parts.path:
            return 404, {"kind": "Status", "message": "the server could not find the resource"}
        if verb == "POST":
            path = f"{parts.path}/{body['metadata']['name']}"
            if path in self.objects:
                return 409, {"kind": "Status", "message": "it already exists"}
            if "dryRun" not in query:
                self.objects[path] = body
            return 201, body
        if parts.path.endswith("/configmaps"):
            return 200, self._page(query)
        return self._one(verb, parts.path, media, query, body)

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        items = list(self.objects.values())
        start = int(query.get("continue", ["0"])[0])
        more = str(start + 1) if start + 1 < len(items) else ""
        return {"items": items[start : start + 1], "metadata": {"continue": more}}

    def _merge(
        self, path: str, live: dict[str, Any] | None, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        if live is None:
            return 404, {"kind": "Status", "message": "not found"}
        version = body.get("metadata", {}).get("resourceVersion")
        if version not in (None, live["metadata"].get("resourceVersion")):
            return 409, {"kind": "Status", "message": "the object has been modified"}
        merged = {**live, "data": {**live.get("data", {}), **body.get("data", {})}}
        if "dryRun" not in query:
            self.objects[path] = merged
        return 200, merged

    def _one(
        self, verb: str, path: str, media: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        live = self.objects.get(path)
        if verb == "PATCH" and media == "application/merge-patch+json":
            return self._merge(path, live, query, body)
        if verb == "PATCH":
            assert media == "application/apply-patch+yaml"
            assert query["fieldManager"] == ["egops"]
            if "dryRun" not in query:
                self.objects[path] = body
            return 200, body
        if live is None:
            return 404, {"kind": "Status", "message": "not found"}
        if verb == "DELETE" and "dryRun" not in body:
            wanted = body["preconditions"].get("uid")
            if wanted and wanted != live["metadata"].get("uid"):
                return 409, {"kind": "Status", "message": "the UID does not match"}
            del self.objects[path]
        return 200, live


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path) -> KubernetesCluster:
    path = tmp_path / "config"
    address = f"http://127.0.0.1:{server.http.server_address[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }
    path.write_text(json.dumps(config), "utf-8")
    return KubernetesCluster(connect(SourceOptions(kubeconfig=str(path))), seconds=5)


def config_map(name: str = "a", **meta: Any) -> dict[str, Any]:
    full = {"name": name, "namespace": "n", "labels": OURS} | meta
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": full, "data": {"k": "v"}}


def test_an_object_is_applied_server_side_and_found_again(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    cluster.apply(CONFIG_MAP, config_map(), force=False, dry_run=False)

    found = cluster.find(CONFIG_MAP, "n", "a")
    assert found is not None
    assert found["data"] == {"k": "v"}
    assert is_ours(found)
    verb, path, query, _ = server.requests[0]
    assert (verb, path) == ("PATCH", "/api/v1/namespaces/n/configmaps/a")
    assert query["force"] == ["false"]


def test_a_dry_run_asks_the_server_and_writes_nothing(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    cluster.apply(CONFIG_MAP, config_map(), force=True, dry_run=True)

    assert server.requests[0][2]["dryRun"] == ["All"]
    assert cluster.find(CONFIG_MAP, "n", "a") is None


def test_all_pages_are_listed(server: ApiServer, cluster: KubernetesCluster) -> None:
    for name in ("a", "b", "c"):
        cluster.apply(CONFIG_MAP, config_map(name), force=False, dry_run=False)

    found = cluster.list(CONFIG_MAP, labels="app.kubernetes.io/managed-by=egops")

    assert found is not None
    assert [thing["metadata"]["name"] for thing in found] == ["a", "b", "c"]
    assert server.requests[-1][2]["labelSelector"] == ["app.kubernetes.io/managed-by=egops"]


def test_a_kind_that_does_not_exist_is_none(cluster: KubernetesCluster) -> None:
    assert cluster.list(RULE) is None
    assert cluster.find(RULE, "n", "a") is None


def test_only_the_object_that_was_read_is_deleted(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    cluster.apply(CONFIG_MAP, config_map(uid="new"), force=False, dry_run=False)

    with pytest.raises(ConflictError, match="the UID does not match"):
        cluster.delete(CONFIG_MAP, config_map(uid="old"), dry_run=False)
    cluster.delete(CONFIG_MAP, config_map(uid="new"), dry_run=True)
    assert len(server.objects) == 1
    cluster.delete(CONFIG_MAP, config_map(uid="new"), dry_run=False)
    cluster.delete(CONFIG_MAP, config_map(uid="new"), dry_run=False)
    assert server.objects == {}


def test_an_object_of_somebody_else_is_never_deleted(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    with pytest.raises(InputError, match="was not made by egops; it stays"):
        cluster.delete(CONFIG_MAP, config_map(labels={}), dry_run=False)

    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AccessError),
        (403, AccessError),
        (409, ConflictError),
        (413, InputError),
        (422, InputError),
        (500, UnreachableError),
    ],
)
def test_a_refusal_is_told_with_the_servers_words(
    server: ApiServer, cluster: KubernetesCluster, status: int, error: type[Exception]
) -> None:
    server.failure = (status, "admission webhook denied: bad PromQL")

    with pytest.raises(error) as caught:
        cluster.apply(CONFIG_MAP, config_map(), force=False, dry_run=False)

    assert status == 401 or "bad PromQL" in str(caught.value)


@pytest.mark.parametrize("status", [400, 403, 422])
def test_what_a_webhook_objects_to_is_told_with_its_first_causes(
    server: ApiServer, cluster: KubernetesCluster, status: int
) -> None:
    server.failure = (status, 'admission webhook "rules" denied the request: Rules are not valid')
    server.causes = [f"rule {number}: unclosed action" for number in range(1, 6)]

    with pytest.raises(InputError) as caught:
        cluster.apply(CONFIG_MAP, config_map(), force=False, dry_run=True)

    assert caught.value.message == (
        'cannot apply ConfigMap a: admission webhook "rules" denied the request: Rules are not '
        "valid: rule 1: unclosed action; rule 2: unclosed action; rule 3: unclosed action "
        "(and 2 more)"
    )


def test_a_webhook_that_does_not_answer_is_told_as_such(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.failure = (500, 'failed calling webhook "rules": connection refused')

    with pytest.raises(UnreachableError, match="connection refused") as caught:
        cluster.apply(CONFIG_MAP, config_map(), force=False, dry_run=False)

    assert caught.value.hint == "the webhook does not answer: is its operator up?"


def test_a_server_that_is_gone_is_explained(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.http.shutdown()
    server.http.server_close()

    with pytest.raises(UnreachableError, match="connection refused"):
        cluster.find(CONFIG_MAP, "n", "a")


# ------------------------------------------------------------------ changes in part


def stored(server: ApiServer, **data: str) -> str:
    path = "/api/v1/namespaces/a/configmaps/c"
    meta = {"name": "c", "namespace": "a", "resourceVersion": "7"}
    server.objects[path] = {"metadata": meta, "data": data}
    return path


def test_a_merge_changes_what_it_names_and_keeps_the_rest(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    path = stored(server, one="1", two="2")
    patch = {"metadata": {"resourceVersion": "7"}, "data": {"two": "3"}}

    cluster.merge(CONFIG_MAP, ObjectName("a", "c"), patch)

    assert server.objects[path]["data"] == {"one": "1", "two": "3"}
    assert server.requests[-1][2]["fieldManager"] == ["egops"]


def test_a_merge_against_another_version_is_a_conflict(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    path = stored(server, one="1")
    patch = {"metadata": {"resourceVersion": "6"}, "data": {"one": "2"}}

    with pytest.raises(ConflictError, match="modified"):
        cluster.merge(CONFIG_MAP, ObjectName("a", "c"), patch)

    assert server.objects[path]["data"] == {"one": "1"}


def test_a_merge_that_is_a_rehearsal_writes_nothing(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    path = stored(server, one="1")

    cluster.merge(CONFIG_MAP, ObjectName("a", "c"), {"data": {"one": "2"}}, dry_run=True)

    assert server.objects[path]["data"] == {"one": "1"}


def test_what_exists_is_not_created_again(server: ApiServer, cluster: KubernetesCluster) -> None:
    thing = {"metadata": {"name": "c", "namespace": "a"}, "data": {}}
    cluster.create(CONFIG_MAP, thing, dry_run=True)
    cluster.create(CONFIG_MAP, thing)

    with pytest.raises(ConflictError, match="already exists"):
        cluster.create(CONFIG_MAP, thing)


def test_the_time_is_the_servers(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.ahead = timedelta(hours=3)

    found = cluster.time() - datetime.now(UTC)

    assert timedelta(hours=2, minutes=59) < found < timedelta(hours=3, minutes=1)
