"""Proxies and Envoy Gateways are asked through port-forwards; one that is dead is one skip."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from egops.gatewayapi import POD
from egops.gather import Wanted, gather
from egops.snapshot import CONTROL_PLANE_PROBES, PROXY_PROBES, Probe, Snapshot
from tests.gather.api_server import ApiServer, Request, api_server, named, serving
from tests.gather.pod_server import forward_to, run_commands

SYSTEM = "envoy-gateway-system"
ROOT = f"/api/v1/namespaces/{SYSTEM}/pods"
DUMP = {
    "configs": [
        {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "dynamic_listeners": []}
    ]
}


def held(release: threading.Event) -> Callable[[Any], None]:
    """Return a handler that answers nothing until released."""

    def wait(_: Any) -> None:
        release.wait(20)

    return wait


def proxy(name: str, gateway: str = "shop/eg", **rest: Any) -> dict[str, Any]:
    namespace, _, owner = gateway.partition("/")
    labels = {
        "app.kubernetes.io/managed-by": "envoy-gateway",
        "app.kubernetes.io/component": "proxy",
        "gateway.envoyproxy.io/owning-gateway-namespace": namespace,
        "gateway.envoyproxy.io/owning-gateway-name": owner,
    }
    rest.setdefault("status", {"phase": "Running"})
    rest.setdefault("spec", {"containers": [{"name": "envoy"}, {"name": "shutdown-manager"}]})
    metadata = {"labels": labels} | rest.pop("metadata", {})
    return named(name, SYSTEM, metadata=metadata, **rest)


def gateway(name: str) -> dict[str, Any]:
    metadata = {"labels": {"control-plane": "envoy-gateway"}}
    return named(name, SYSTEM, metadata=metadata, status={"phase": "Running"}, spec={})


class Admin:
    """An admin port that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.odd: dict[str, Callable[[Request], None]] = {}

    def handle(self, request: Request) -> None:
        self.asked.append(request.path)
        if odd := self.odd.get(request.path):
            odd(request)
        elif request.path == "/config_dump":
            assert "include_eds" in request.all
            request.json(DUMP)
        elif request.path == "/stats":
            count = self.asked.count("/stats")
            request.json({"stats": [{"name": "server.uptime", "value": count}]})
        elif request.path == "/clusters":
            request.json({"cluster_statuses": []})
        elif request.path == "/certs":
            request.json({"certificates": []})
        elif request.path == "/server_info":
            request.json({"version": "a/1.36.2/Clean/RELEASE/BoringSSL", "state": "LIVE"})
        elif request.path == "/ready":
            request.send(503, b"PRE_INITIALIZING\n", "text/plain")
        elif request.path == "/metrics":
            request.send(200, b"up 1\n", "text/plain")
        else:
            request.send(404, b"404 page not found\n", "text/plain")


@pytest.fixture
def admin() -> Admin:
    return Admin()


@pytest.fixture
def cluster(admin: Admin) -> Iterator[ApiServer]:
    """An API server with one proxy and one Envoy Gateway, whose ports lead to `admin`."""
    with api_server() as api, serving(admin.handle) as url:
        port = urlsplit(url).port or 0
        api.objects[POD] = [proxy("proxy-a"), gateway("eg-1"), named("other", "shop")]
        for pod in ("proxy-a", "eg-1"):
            api.handlers[f"{ROOT}/{pod}/portforward"] = forward_to({19000: port, 19001: port})
        for pod in ("proxy-a", "proxy-b", "eg-1"):
            api.handlers[f"{ROOT}/{pod}/log"] = lambda request: request.send(
                200, f"log of {request.query['container']}".encode(), "text/plain"
            )
        yield api


def read(api: ApiServer, folder: Path, *probes: Probe, **options: Any) -> Snapshot:
    options.setdefault("window", 0.2)
    options.setdefault("request_timeout", 2.0)
    wanted = Wanted(probes=frozenset(probes), proxies=options.pop("proxies", frozenset()))
    return gather(api.source(folder, **options), wanted)


def test_every_document_of_a_proxy_is_read_through_one_port_forward(
    cluster: ApiServer, tmp_path: Path
) -> None:
    (found,) = read(cluster, tmp_path, *PROXY_PROBES).proxies
    assert found.name == f"{SYSTEM}/proxy-a"
    assert not found.failures
    assert set(found.documents) == PROXY_PROBES
    assert found.server_info.envoy_version == "1.36.2"
    assert (found.stats.get("server.uptime"), found.stats_again.get("server.uptime")) == (1, 2)
    assert found.documents[Probe.READY] == b"PRE_INITIALIZING\n"
    assert found.log == "log of envoy"
    assert found.fleet == "shop/eg"
    assert cluster.paths().count(f"{ROOT}/proxy-a/portforward") == 1
    log = next(request for request in cluster.requests if request.path.endswith("/log"))
    assert log.query["tailLines"] == "2000"


def test_only_the_wanted_documents_are_asked_for(
    cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    snapshot = read(cluster, tmp_path, Probe.CERTS)
    assert admin.asked == ["/certs"]
    assert not snapshot.control_planes
    assert POD not in snapshot.resources
    selector = cluster.requests[0].query["labelSelector"]
    assert "component=proxy" in selector


def test_counters_are_read_a_window_apart(cluster: ApiServer, tmp_path: Path) -> None:
    start = time.monotonic()
    (found,) = read(cluster, tmp_path, Probe.STATS_AGAIN, window=0.7).proxies
    assert time.monotonic() - start > 0.7
    assert found.has(Probe.STATS)
    assert found.has(Probe.STATS_AGAIN)


def test_a_window_of_zero_reads_them_once_and_says_so(
    cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    snapshot = read(cluster, tmp_path, Probe.STATS_AGAIN, Probe.METRICS_AGAIN, window=0.0)
    reason = "counters were read once (--window 0)"
    assert snapshot.unprobed == {Probe.STATS_AGAIN: reason, Probe.METRICS_AGAIN: reason}
    assert sorted(admin.asked) == ["/metrics", "/stats"]


def test_every_document_of_envoy_gateway_is_read(cluster: ApiServer, tmp_path: Path) -> None:
    (found,) = read(cluster, tmp_path, *CONTROL_PLANE_PROBES).control_planes
    assert found.metrics.get("up") == 1
    assert found.metrics_again.get("up") == 1
    assert found.log == "log of envoy-gateway"
    assert found.failures == {
        Probe.EG_CONFIG_DUMP: "/api/config_dump?resource=all answered 404 page not found: "
        "Envoy Gateway has it from 1.5 on"
    }


def test_no_pods_is_a_reason(tmp_path: Path) -> None:
    with api_server(objects={POD: []}) as api:
        snapshot = read(api, tmp_path, Probe.STATS, Probe.METRICS)
    assert snapshot.unprobed == {
        Probe.STATS: "no proxy pod was found",
        Probe.METRICS: "no Envoy Gateway pod was found (control-plane=envoy-gateway)",
    }


def test_a_port_where_nobody_listens_is_one_reason(cluster: ApiServer, tmp_path: Path) -> None:
    (found,) = read(cluster, tmp_path, Probe.STATS, Probe.CERTS, admin_port=19999).proxies
    reason = "nothing listens on port 19999 of the pod"
    assert found.failures == {Probe.STATS: reason, Probe.CERTS: reason}


def test_a_forbidden_port_forward_is_one_reason(cluster: ApiServer, tmp_path: Path) -> None:
    said = 'pods "a" is forbidden: User "ci" cannot create resource "pods/portforward" in API group'
    said += f' "" in the namespace "{SYSTEM}"'
    cluster.handlers[f"{ROOT}/proxy-a/portforward"] = lambda request: request.status(403, said)
    (found,) = read(cluster, tmp_path, Probe.STATS).proxies
    assert found.failures == {
        Probe.STATS: f'forbidden: create pods/portforward in namespace {SYSTEM} for user "ci"'
    }


@contextlib.contextmanager
def hung_port() -> Iterator[int]:
    """Listen, take connections, and never say a word: a stopped process."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_hung_pod_is_one_skip_and_the_others_are_read(
    cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    cluster.objects[POD].insert(0, proxy("proxy-b"))
    with hung_port() as port:
        cluster.handlers[f"{ROOT}/proxy-b/portforward"] = forward_to({19000: port})
        start = time.monotonic()
        probes = PROXY_PROBES - {Probe.PROXY_LOG}
        snapshot = read(cluster, tmp_path, *probes, request_timeout=1.0)
        assert time.monotonic() - start < 10
    good, hung = snapshot.proxies
    assert not good.failures
    assert set(hung.failures) == probes
    assert set(hung.failures.values()) == {"no answer from port 19000 of the pod within 1 s"}


def test_an_admin_port_that_drips_is_one_skip(
    cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    admin.odd["/stats"] = lambda request: request.drip(20)
    start = time.monotonic()
    (found,) = read(cluster, tmp_path, Probe.STATS, request_timeout=1.0).proxies
    assert time.monotonic() - start < 10
    assert found.failures == {Probe.STATS: "no answer from port 19000 of the pod within 1 s"}


def test_a_tunnel_that_closes_between_requests_is_replaced(
    cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    def close_after(request: Request) -> None:
        request.json({"stats": []})
        request.http.close_connection = True  # without saying so

    admin.odd["/stats"] = close_after
    (found,) = read(cluster, tmp_path, Probe.STATS, Probe.CONFIG_DUMP, Probe.CERTS).proxies
    assert not found.failures
    assert cluster.paths().count(f"{ROOT}/proxy-a/portforward") == 2


@pytest.mark.parametrize(
    ("probe", "body", "words"),
    [
        (Probe.CONFIG_DUMP, b"<html></html>", "HTML"),
        (Probe.CONFIG_DUMP, b"", "empty"),
        (Probe.STATS, b"{", "not Envoy's stats"),
        (Probe.CLUSTERS, b"[]", "not Envoy's clusters"),
        (Probe.CERTS, b'{"certificates": 1}', "not Envoy's certificates"),
    ],
)
def test_a_document_that_does_not_parse_is_a_failure_and_no_document(
    probe: Probe, body: bytes, words: str, cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    admin.odd[probe.value.partition("?")[0]] = lambda request: request.send(200, body, "text/plain")
    (found,) = read(cluster, tmp_path, probe, Probe.READY).proxies
    assert words in found.failures[probe]
    assert set(found.documents) == {Probe.READY}


def test_a_long_document_comes_whole(cluster: ApiServer, admin: Admin, tmp_path: Path) -> None:
    entries = [{"name": f"stat.{number}", "value": number} for number in range(200_000)]
    admin.odd["/stats"] = lambda request: request.json({"stats": entries})
    (found,) = read(cluster, tmp_path, Probe.STATS, request_timeout=20.0).proxies
    assert found.stats.get("stat.199999") == 199_999


def test_pods_that_do_not_run_say_so_without_being_asked(
    cluster: ApiServer, tmp_path: Path
) -> None:
    cluster.objects[POD] = [proxy("proxy-b", status={"phase": "Pending"})]
    (found,) = read(cluster, tmp_path, Probe.STATS).proxies
    assert found.failures == {Probe.STATS: "the pod is Pending"}


def test_pods_on_their_way_out_are_left_out_and_counted(cluster: ApiServer, tmp_path: Path) -> None:
    gone = proxy("proxy-b", metadata={"deletionTimestamp": "2025-01-01T00:00:00Z"})
    cluster.objects[POD] += [gone, proxy("proxy-c", status={"phase": "Failed"})]
    gone["metadata"]["labels"] = cluster.objects[POD][0]["metadata"]["labels"]
    snapshot = read(cluster, tmp_path, Probe.STATS)
    assert [found.name for found in snapshot.proxies] == [f"{SYSTEM}/proxy-a"]
    assert snapshot.notes == ("pods not read because they have ended or are about to: 2",)


def test_of_each_fleet_so_many_pods_are_asked_and_the_rest_is_told(
    cluster: ApiServer, tmp_path: Path
) -> None:
    cluster.objects[POD] = [proxy(f"p{number}") for number in range(5)]
    cluster.objects[POD] += [proxy("q1", "infra/edge")]
    cluster.objects[POD][0]["status"]["phase"] = "Pending"
    snapshot = read(cluster, tmp_path, Probe.STATS, max_pods=2, admin_port=1)
    names = [found.name.partition("/")[2] for found in snapshot.proxies]
    assert names == ["p1", "p2", "q1"]
    assert snapshot.notes == ("3 of 5 proxies of shop/eg were not read (--max-pods 2)",)


@pytest.mark.parametrize("name", ["infra/edge", "q1", f"{SYSTEM}/q1"])
def test_only_the_fleet_or_pod_asked_for_is_asked(
    name: str, cluster: ApiServer, tmp_path: Path
) -> None:
    cluster.objects[POD] = [proxy("p1"), proxy("q1", "infra/edge")]
    snapshot = read(cluster, tmp_path, Probe.STATS, proxies=frozenset({name}), admin_port=1)
    assert [found.name for found in snapshot.proxies] == [f"{SYSTEM}/q1"]


def test_a_fleet_that_is_not_there_is_a_reason(cluster: ApiServer, tmp_path: Path) -> None:
    snapshot = read(cluster, tmp_path, Probe.STATS, proxies=frozenset({"shop/nope"}))
    assert snapshot.unprobed == {Probe.STATS: "no proxy pod is called shop/nope"}


def test_a_namespace_hides_no_fleet_that_serves_it(cluster: ApiServer, tmp_path: Path) -> None:
    """Routes of a namespace are served by the Gateways, and the proxies, of any other."""
    cluster.objects[POD] = [proxy("p1"), proxy("q1", "infra/edge")]
    snapshot = read(cluster, tmp_path, Probe.STATS, namespace="shop", admin_port=1)
    assert len(snapshot.proxies) == 2


def test_what_pods_said_when_the_time_is_up_is_kept(
    cluster: ApiServer, admin: Admin, tmp_path: Path
) -> None:
    release = threading.Event()
    admin.odd["/clusters"] = held(release)
    snapshot = read(
        cluster, tmp_path, Probe.STATS, Probe.CLUSTERS, timeout=1.5, request_timeout=20.0
    )
    release.set()
    (found,) = snapshot.proxies
    assert snapshot.timed_out
    assert found.has(Probe.STATS)
    assert found.failures == {Probe.CLUSTERS: "timed out after 1.5 s"}


# ------------------------------------------------------------------ exec


def test_exec_takes_the_first_container_that_has_a_tool(cluster: ApiServer, tmp_path: Path) -> None:
    ran: list[list[str]] = []

    def answer(command: list[str]) -> tuple[bytes, str]:
        ran.append(command)
        if command[0] == "curl":
            return b"", 'exec: "curl": executable file not found in $PATH: unknown'
        return b'{"stats": []}', ""

    cluster.handlers[f"{ROOT}/proxy-a/exec"] = run_commands(answer)
    (found,) = read(cluster, tmp_path, Probe.STATS, Probe.READY, via="exec").proxies
    assert not found.failures
    assert [command[0] for command in ran] == ["curl", "wget", "wget"]
    assert ran[-1][-1] == "http://127.0.0.1:19000/stats?format=json"


def test_exec_of_curl_knows_the_status(cluster: ApiServer, tmp_path: Path) -> None:
    cluster.handlers[f"{ROOT}/proxy-a/exec"] = run_commands(
        lambda command: (b"no\n404" if "stats" in command[-1] else b"LIVE\n\n200", "")
    )
    (found,) = read(cluster, tmp_path, Probe.STATS, Probe.READY, via="exec").proxies
    assert found.documents == {Probe.READY: b"LIVE\n"}
    assert found.failures == {Probe.STATS: "/stats?format=json answered 404 no"}


def test_exec_without_any_tool_says_what_to_do(cluster: ApiServer, tmp_path: Path) -> None:
    missing = 'OCI runtime exec failed: exec: "curl": executable file not found in $PATH'
    cluster.handlers[f"{ROOT}/proxy-a/exec"] = run_commands(lambda _: (b"", missing))
    (found,) = read(cluster, tmp_path, Probe.STATS, via="exec").proxies
    assert "use --via port-forward" in found.failures[Probe.STATS]
