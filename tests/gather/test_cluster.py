"""A cluster is read with one list for each kind, and every gap has its reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from egops.errors import AccessError, EgopsError, TimeoutReached, UnreachableError
from egops.gatewayapi import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENVOY_GATEWAY,
    GATEWAY,
    GATEWAY_CLASS,
    HELM_RELEASE,
    HELM_VALUES,
    HTTP_ROUTE,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    TLS_ROUTE,
)
from egops.gather import Wanted, gather
from egops.gather.api import pause
from egops.gather.lists import LAST_APPLIED
from egops.snapshot import Kind, Probe, Ref, Snapshot
from tests.gather.api_server import ApiServer, Request, api_server, named

ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"
FORBIDDEN = (
    'httproutes.gateway.networking.k8s.io is forbidden: User "ci" cannot list resource "httproutes"'
    ' in API group "gateway.networking.k8s.io" at the cluster scope'
)


def held(release: threading.Event) -> Callable[[Any], None]:
    """Return a handler that answers nothing until released."""

    def wait(_: Any) -> None:
        release.wait(20)

    return wait


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with api_server(objects={HTTP_ROUTE: [named("a", "shop")]}) as server:
        yield server


def read(api: ApiServer, folder: Path, *kinds: Kind, probes: Any = (), **options: Any) -> Snapshot:
    wanted = Wanted(frozenset(kinds), frozenset(probes))
    return gather(api.source(folder, **options), wanted)


# ------------------------------------------------------------------ what is read


def test_only_the_wanted_kinds_are_asked_for(api: ApiServer, tmp_path: Path) -> None:
    api.objects[GATEWAY] = [named("eg", "shop")]
    snapshot = read(api, tmp_path, HTTP_ROUTE)
    assert set(snapshot.resources) == {HTTP_ROUTE}
    assert sorted(api.paths()) == ["/apis", ROUTES]


def test_objects_say_what_they_are_though_lists_leave_it_out(
    api: ApiServer, tmp_path: Path
) -> None:
    api.objects[SERVICE] = [named("b", "x"), named("a", "x"), named("z", "a")]
    snapshot = read(api, tmp_path, SERVICE)
    assert [str(service.ref) for service in snapshot.all(SERVICE)] == [
        "Service a/z",
        "Service x/a",
        "Service x/b",
    ]
    assert snapshot.all(SERVICE)[0].body["kind"] == "Service"
    assert snapshot.all(SERVICE)[0].body["apiVersion"] == "v1"


def test_a_long_list_comes_in_pages(api: ApiServer, tmp_path: Path) -> None:
    api.objects[HTTP_ROUTE] = [named(f"r{number:04}", "shop") for number in range(1203)]
    assert len(read(api, tmp_path, HTTP_ROUTE).all(HTTP_ROUTE)) == 1203
    assert api.paths().count(ROUTES) == 3


def test_an_expired_page_starts_the_list_again_without_doubles(
    api: ApiServer, tmp_path: Path
) -> None:
    api.objects[HTTP_ROUTE] = [named(f"r{number:04}", "shop") for number in range(1203)]

    def expire(request: Request) -> None:
        if request.query.get("continue") == "1000":
            request.status(410, "The provided continue parameter is too old")
        else:
            api.page(request, HTTP_ROUTE, api.objects[HTTP_ROUTE])

    api.handlers[ROUTES] = expire
    snapshot = read(api, tmp_path, HTTP_ROUTE)
    assert len(snapshot.all(HTTP_ROUTE)) == 1203
    assert "limit" not in api.requests[-1].query


def test_a_kind_that_is_not_served_is_absent(api: ApiServer, tmp_path: Path) -> None:
    snapshot = read(api, tmp_path, HTTP_ROUTE, TLS_ROUTE, DEPLOYMENT)
    assert snapshot.absent == {TLS_ROUTE, DEPLOYMENT}
    assert not snapshot.unread
    assert snapshot.knows(TLS_ROUTE)


def test_the_version_that_is_served_is_read(api: ApiServer, tmp_path: Path) -> None:
    old = TLS_ROUTE._replace(versions=("v1alpha2",))
    api.objects[old] = [named("t", "shop")]
    snapshot = read(api, tmp_path, TLS_ROUTE)
    assert [route.name for route in snapshot.all(TLS_ROUTE)] == ["t"]
    assert api.paths()[-1] == "/apis/gateway.networking.k8s.io/v1alpha2/tlsroutes"


@pytest.mark.parametrize(
    "odd", [{}, {"items": [1, {}]}, {"items": [{"versions": [{"resources": [2]}]}]}]
)
def test_an_odd_discovery_document_is_survived(
    odd: dict[str, Any], api: ApiServer, tmp_path: Path
) -> None:
    document = {"kind": "APIGroupDiscoveryList"} | odd
    api.handlers["/apis"] = lambda request: request.json(document)
    assert read(api, tmp_path, HTTP_ROUTE).absent == {HTTP_ROUTE}


def test_a_version_that_egops_does_not_know_is_unread(api: ApiServer, tmp_path: Path) -> None:
    api.objects[TLS_ROUTE._replace(versions=("v2",))] = [named("t", "shop")]
    assert read(api, tmp_path, TLS_ROUTE).unread == {
        TLS_ROUTE: "served only as v2, unknown to egops"
    }


def test_without_aggregated_discovery_versions_are_tried_in_turn(tmp_path: Path) -> None:
    old = TLS_ROUTE._replace(versions=("v1alpha2",))
    with api_server(aggregated=False, objects={old: [named("t", "shop")]}) as api:
        snapshot = read(api, tmp_path, TLS_ROUTE, HTTP_ROUTE)
    assert [route.name for route in snapshot.all(TLS_ROUTE)] == ["t"]
    assert snapshot.absent == {HTTP_ROUTE}


def test_a_namespace_limits_nothing_that_may_be_read(api: ApiServer, tmp_path: Path) -> None:
    """What is judged in a namespace refers to Gateways and Services of others."""
    api.objects[HTTP_ROUTE] += [named("b", "other")]
    snapshot = read(api, tmp_path, HTTP_ROUTE, namespace="shop")
    assert [route.name for route in snapshot.all(HTTP_ROUTE)] == ["b", "a"]
    assert snapshot.knows(HTTP_ROUTE)


def test_who_may_not_list_all_namespaces_gets_the_one_named(api: ApiServer, tmp_path: Path) -> None:
    api.objects[HTTP_ROUTE] += [named("b", "other")]
    api.handlers[ROUTES] = lambda request: request.status(403, FORBIDDEN)
    snapshot = read(api, tmp_path, HTTP_ROUTE, namespace="shop")
    assert [route.name for route in snapshot.all(HTTP_ROUTE)] == ["a"]
    assert not snapshot.unread
    assert not snapshot.knows(HTTP_ROUTE)  # one that is not here may be elsewhere
    assert snapshot.notes == (
        "only namespace shop was read of httproutes: listing all is forbidden",
    )


def test_a_kind_without_namespaces_stays_forbidden(api: ApiServer, tmp_path: Path) -> None:
    said = 'namespaces is forbidden: User "ci" cannot list resource "namespaces" in API group ""'
    api.handlers["/api/v1/namespaces"] = lambda request: request.status(403, said)
    snapshot = read(api, tmp_path, NAMESPACE, namespace="shop")
    assert snapshot.unread == {NAMESPACE: 'forbidden: list namespaces for user "ci"'}


def test_secrets_keep_no_more_than_rules_need(api: ApiServer, tmp_path: Path) -> None:
    api.objects[SECRET] = [
        named("tls", "shop", type="kubernetes.io/tls", data={"tls.crt": "Y2VydA=="}),
        named("token", "shop", type="kubernetes.io/service-account-token", data={"token": "eA=="}),
        named(
            "sh.helm.release.v1.eg.v3",
            "shop",
            type="helm.sh/release.v1",
            data={"release": "eA=="},
            metadata={"labels": {"version": "3"}},
        ),
    ]
    secrets = {secret.name: secret for secret in read(api, tmp_path, SECRET).all(SECRET)}
    assert secrets["tls"].body["data"] == {"tls.crt": "Y2VydA=="}
    assert "data" not in secrets["token"].body
    helm = secrets["sh.helm.release.v1.eg.v3"]
    assert "data" not in helm.body
    assert (helm.body["type"], helm.body["kind"]) == ("helm.sh/release.v1", "Secret")
    assert helm.labels == {"version": "3"}
    asked = [request for request in api.requests if "type=helm" in str(request.query)]
    assert "PartialObjectMetadataList" in asked[0].headers["accept"]


def test_a_secrets_second_copy_in_an_annotation_is_dropped(api: ApiServer, tmp_path: Path) -> None:
    annotations = {LAST_APPLIED: "{data}", "mine": "stays"}
    api.objects[SECRET] = [named("a", "shop", metadata={"annotations": annotations})]
    (secret,) = read(api, tmp_path, SECRET).all(SECRET)
    assert secret.annotations == {"mine": "stays"}


def test_who_set_which_field_is_kept_only_of_what_scales(api: ApiServer, tmp_path: Path) -> None:
    fields = [{"manager": "m", "time": "2025-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}}]
    for kind in (SERVICE, DEPLOYMENT):
        api.objects[kind] = [named("a", "shop", metadata={"managedFields": deepcopy(fields)})]
    snapshot = read(api, tmp_path, SERVICE, DEPLOYMENT)
    assert snapshot.all(DEPLOYMENT)[0].metadata["managedFields"] == fields
    assert snapshot.all(SERVICE)[0].metadata["managedFields"] == [
        {"manager": "m", "time": "2025-01-01T00:00:00Z"}
    ]


def test_the_configuration_is_made_of_its_config_map_alone(api: ApiServer, tmp_path: Path) -> None:
    data = {"envoy-gateway.yaml": "gateway: {controllerName: ours}\n"}
    api.objects[CONFIG_MAP] = [
        named("envoy-gateway-config", "envoy-gateway-system", data=data),
        named("big", "shop"),
    ]
    snapshot = read(api, tmp_path, ENVOY_GATEWAY)
    (config,) = snapshot.all(ENVOY_GATEWAY)
    assert config.body["gateway"] == {"controllerName": "ours"}
    assert CONFIG_MAP not in snapshot.resources
    assert len(api.requests) == 1

    snapshot = read(api, tmp_path, ENVOY_GATEWAY, CONFIG_MAP)
    assert len(snapshot.all(CONFIG_MAP)) == 2
    assert snapshot.get(Ref(ENVOY_GATEWAY, "envoy-gateway-system", "envoy-gateway-config"))


def test_chart_values_are_made_of_releases(api: ApiServer, tmp_path: Path) -> None:
    values = {"deployment": {"envoyGateway": {"image": {"tag": "v1.3.0"}}}}
    chart = {"chart": {"spec": {"chart": "gateway-helm"}}}
    api.objects[HELM_RELEASE] = [named("eg", "flux", spec={"values": values} | chart)]
    snapshot = read(api, tmp_path, HELM_VALUES)
    assert [found.body["values"] for found in snapshot.all(HELM_VALUES)] == [values]
    assert HELM_RELEASE not in snapshot.resources

    del api.objects[HELM_RELEASE]
    snapshot = read(api, tmp_path, HELM_VALUES)
    assert snapshot.knows(HELM_VALUES)
    assert not snapshot.all(HELM_VALUES)


def test_releases_that_are_forbidden_leave_the_values_unread(
    api: ApiServer, tmp_path: Path
) -> None:
    api.objects[HELM_RELEASE] = []
    path = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases"
    api.handlers[path] = lambda request: request.status(403, "no")
    assert read(api, tmp_path, HELM_VALUES).unread[HELM_VALUES] == "forbidden: no"


def test_the_servers_version_is_asked_only_if_wanted(api: ApiServer, tmp_path: Path) -> None:
    assert read(api, tmp_path, HTTP_ROUTE).kubernetes_version == ""
    assert "/version" not in api.paths()
    snapshot = read(api, tmp_path, probes=[Probe.KUBERNETES_VERSION])
    assert snapshot.kubernetes_version == "v1.32.0"


def test_impersonation_goes_along_with_every_request(api: ApiServer, tmp_path: Path) -> None:
    read(api, tmp_path, HTTP_ROUTE, as_user="jane", as_groups=("dev", "ops"))
    for request in api.requests:
        assert request.headers["Impersonate-User"] == "jane"
        assert request.headers.get_all("Impersonate-Group") == ["dev", "ops"]
        assert request.headers["Authorization"] == "Bearer t0"


def test_all_lists_take_as_long_as_the_slowest(api: ApiServer, tmp_path: Path) -> None:
    kinds = [HTTP_ROUTE, GATEWAY, GATEWAY_CLASS, SERVICE, POD, NAMESPACE]

    def slow(request: Request) -> None:
        time.sleep(0.5)
        request.json({"kind": "XList", "items": []})

    for kind in kinds:
        api.objects[kind] = []
        root = f"/apis/{kind.group}/{kind.versions[0]}" if kind.group else "/api/v1"
        api.handlers[f"{root}/{kind.plural}"] = slow
    gather(api.source(tmp_path), Wanted())  # the client is loaded once
    start = time.monotonic()
    snapshot = read(api, tmp_path, *kinds)
    assert len(snapshot.resources) == len(kinds)
    assert time.monotonic() - start < 2.5  # one after the other would take 3 s


# ------------------------------------------------------------------ what can't be read


def test_a_forbidden_kind_is_unread_and_says_who_may_not_what(
    api: ApiServer, tmp_path: Path
) -> None:
    api.objects[SERVICE] = []
    api.handlers[ROUTES] = lambda request: request.status(403, FORBIDDEN)
    snapshot = read(api, tmp_path, HTTP_ROUTE, SERVICE)
    assert snapshot.unread == {
        HTTP_ROUTE: 'forbidden: list httproutes.gateway.networking.k8s.io for user "ci"'
    }
    assert SERVICE in snapshot.resources


def test_forbidden_config_maps_leave_the_configuration_unread_too(
    api: ApiServer, tmp_path: Path
) -> None:
    said = 'configmaps is forbidden: User "ci" cannot list resource "configmaps" in API group ""'
    api.handlers["/api/v1/configmaps"] = lambda request: request.status(403, said)
    for kinds in ([ENVOY_GATEWAY], [ENVOY_GATEWAY, CONFIG_MAP]):
        snapshot = read(api, tmp_path, *kinds)
        assert snapshot.unread == dict.fromkeys(kinds, 'forbidden: list configmaps for user "ci"')


def test_forbidden_pods_leave_every_pod_unprobed(api: ApiServer, tmp_path: Path) -> None:
    said = 'pods is forbidden: User "ci" cannot list resource "pods" in API group ""'
    api.handlers["/api/v1/pods"] = lambda request: request.status(403, said)
    for kinds in ([POD], []):
        snapshot = read(api, tmp_path, *kinds, probes=[Probe.STATS, Probe.METRICS])
        assert snapshot.unprobed == dict.fromkeys(
            (Probe.STATS, Probe.METRICS), 'pods: forbidden: list pods for user "ci"'
        )


def test_told_to_come_back_later_it_comes_back(api: ApiServer, tmp_path: Path) -> None:
    answers = iter([429, 429, 200])

    def busy(request: Request) -> None:
        if (code := next(answers)) == 429:
            request.status(code, "too many requests", Retry_After="0")
        else:
            api.page(request, HTTP_ROUTE, api.objects[HTTP_ROUTE])

    api.handlers[ROUTES] = busy
    assert len(read(api, tmp_path, HTTP_ROUTE).all(HTTP_ROUTE)) == 1


def test_told_so_for_ever_it_gives_up(api: ApiServer, tmp_path: Path) -> None:
    api.handlers[ROUTES] = lambda request: request.status(429, "slow down", Retry_After="0")
    assert read(api, tmp_path, HTTP_ROUTE).unread == {
        HTTP_ROUTE: f"{api.url} answered 429: slow down"
    }
    assert api.paths().count(ROUTES) == 4


def test_told_to_wait_for_long_it_gives_up_at_once(api: ApiServer, tmp_path: Path) -> None:
    api.handlers[ROUTES] = lambda request: request.status(429, "slow down", Retry_After="600")
    start = time.monotonic()
    assert "429" in read(api, tmp_path, HTTP_ROUTE).unread[HTTP_ROUTE]
    assert time.monotonic() - start < 5
    assert api.paths().count(ROUTES) == 1


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", 0.5), ("-3", 0.5), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.5)],
)
def test_the_pause_is_as_told_in_seconds(told: str, seconds: float) -> None:
    assert pause(told, 1) == seconds


@pytest.mark.parametrize("failures", [1, 9])
def test_a_server_error_is_tried_once_more(failures: int, api: ApiServer, tmp_path: Path) -> None:
    def fail(request: Request) -> None:
        if api.paths().count(ROUTES) <= failures:
            request.status(503, "etcd is electing a leader", Retry_After="0")
        else:
            api.page(request, HTTP_ROUTE, api.objects[HTTP_ROUTE])

    api.handlers[ROUTES] = fail
    snapshot = read(api, tmp_path, HTTP_ROUTE)
    assert api.paths().count(ROUTES) == 2
    assert bool(snapshot.unread) is (failures > 1)


def test_a_connection_that_closes_half_way_is_tried_once_more(
    api: ApiServer, tmp_path: Path
) -> None:
    def hang_up(request: Request) -> None:
        if api.paths().count(ROUTES) == 1:
            request.http.close_connection = True
            request.http.connection.close()
        else:
            api.page(request, HTTP_ROUTE, api.objects[HTTP_ROUTE])

    api.handlers[ROUTES] = hang_up
    assert len(read(api, tmp_path, HTTP_ROUTE).all(HTTP_ROUTE)) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>hello</body></html>", "an HTML page"),
        (b"{", "no JSON"),
        (b'{"kind": "Status"}', "answered no list"),
        (b"", "no JSON"),
    ],
)
def test_one_list_that_is_none_is_unread(
    body: bytes, words: str, api: ApiServer, tmp_path: Path
) -> None:
    api.handlers[ROUTES] = lambda request: request.send(200, body, "text/html")
    snapshot = read(api, tmp_path, HTTP_ROUTE)
    assert words in snapshot.unread[HTTP_ROUTE]


def test_one_list_that_drips_is_unread_when_its_time_is_up(api: ApiServer, tmp_path: Path) -> None:
    api.objects[SERVICE] = [named("s", "shop")]
    api.handlers[ROUTES] = lambda request: request.drip(20)
    start = time.monotonic()
    snapshot = read(api, tmp_path, HTTP_ROUTE, SERVICE, request_timeout=1.0)
    assert time.monotonic() - start < 10
    assert snapshot.unread == {HTTP_ROUTE: f"no answer from {api.url} within 1 s"}
    assert snapshot.all(SERVICE)


# ------------------------------------------------------------------ a server that can't be asked


def test_credentials_that_are_not_accepted_stop_with_a_hint(api: ApiServer, tmp_path: Path) -> None:
    for path in ("/apis", ROUTES):
        api.handlers[path] = lambda request: request.status(401, "Unauthorized")
    with pytest.raises(AccessError, match="does not accept the credentials") as caught:
        read(api, tmp_path, HTTP_ROUTE)
    assert "expired" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>login</html>"), (404, b"<html>nginx</html>"), (503, b"no healthy upstream")],
)
def test_what_is_no_api_server_stops(
    status: int, body: bytes, api: ApiServer, tmp_path: Path
) -> None:
    for path in ("/apis", ROUTES, "/api/v1/services"):
        api.handlers[path] = lambda request: request.send(status, body, "text/html")
    with pytest.raises(EgopsError, match=f"^{api.url} ") as caught:
        read(api, tmp_path, HTTP_ROUTE, SERVICE)
    assert caught.value.exit_code == 3


def test_a_port_where_nobody_listens_stops(api: ApiServer, tmp_path: Path) -> None:
    source = api.source(tmp_path)
    kubeconfig = Path(source.kubeconfig)
    kubeconfig.write_text(kubeconfig.read_text().replace(api.url, "http://127.0.0.1:1"))
    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:1: connection refused"):
        gather(source, Wanted(frozenset({HTTP_ROUTE})))


def test_a_name_that_does_not_resolve_stops(api: ApiServer, tmp_path: Path) -> None:
    source = api.source(tmp_path)
    kubeconfig = Path(source.kubeconfig)
    kubeconfig.write_text(kubeconfig.read_text().replace(api.url, "http://nowhere.invalid"))
    with pytest.raises(UnreachableError, match=r"nowhere\.invalid: no such host"):
        gather(source, Wanted(frozenset({HTTP_ROUTE})))


def test_plain_http_where_tls_is_expected_stops(api: ApiServer, tmp_path: Path) -> None:
    source = api.source(tmp_path)
    kubeconfig = Path(source.kubeconfig)
    kubeconfig.write_text(kubeconfig.read_text().replace("http://", "https://"))
    with pytest.raises(UnreachableError, match="TLS: ") as caught:
        gather(source, Wanted(frozenset({HTTP_ROUTE})))
    assert "certificate authority" in caught.value.hint


def test_a_server_that_never_answers_stops_within_one_request(
    api: ApiServer, tmp_path: Path
) -> None:
    release = threading.Event()
    kinds = [SERVICE, POD, NAMESPACE, SECRET, CONFIG_MAP]
    for kind in kinds:
        api.handlers[f"/api/v1/{kind.plural}"] = held(release)
    start = time.monotonic()
    with pytest.raises(UnreachableError, match=r"no answer from .* within 1 s"):
        read(api, tmp_path, *kinds, request_timeout=1.0, concurrency=1)
    assert time.monotonic() - start < 10
    release.set()


# ------------------------------------------------------------------ the end


def test_what_is_known_when_the_time_is_up_is_kept(api: ApiServer, tmp_path: Path) -> None:
    release = threading.Event()
    api.objects[SERVICE] = [named("s", "shop")]
    api.handlers[ROUTES] = held(release)
    start = time.monotonic()
    snapshot = read(api, tmp_path, HTTP_ROUTE, SERVICE, timeout=1.0)
    assert time.monotonic() - start < 10
    release.set()
    assert snapshot.timed_out
    assert snapshot.unread == {HTTP_ROUTE: "timed out after 1 s"}
    assert snapshot.all(SERVICE)


def test_nothing_known_when_the_time_is_up_stops(api: ApiServer, tmp_path: Path) -> None:
    release = threading.Event()
    api.handlers["/apis"] = held(release)
    with pytest.raises(TimeoutReached, match=r"within 0\.5 s"):
        read(api, tmp_path, HTTP_ROUTE, timeout=0.5)
    release.set()


def test_no_thread_is_left_behind(api: ApiServer, tmp_path: Path) -> None:
    read(api, tmp_path, HTTP_ROUTE, SERVICE, POD)
    api.handlers[ROUTES] = lambda request: request.drip(20)
    read(api, tmp_path, HTTP_ROUTE, SERVICE, timeout=0.5)
    ours = [thread.name for thread in threading.enumerate() if thread.name == "egops-gather"]
    assert not ours
