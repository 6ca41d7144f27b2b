"""The grammar of xDS names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from egops.xds import names
from egops.xds.names import (
    BackendCluster,
    FilterName,
    FleetName,
    ListenerName,
    MirrorCluster,
    ObjectName,
    OwnCluster,
    OwnListenerName,
    PolicyCluster,
    PortName,
    RouteName,
    RuleCluster,
    UrlCluster,
    VirtualHostName,
)

if TYPE_CHECKING:
    from collections.abc import Callable

IR_NAMES: dict[str, list[str]] = json.loads(
    (Path(__file__).parent.parent / "fixtures/names/ir-names.json").read_text("utf-8")
)
PARSERS: dict[str, Callable[[str], object]] = {
    "route": names.parse_route,
    "listener": names.parse_listener,
    "cluster": names.parse_cluster,
    "region": names.parse_region,
    "secret": names.parse_secret,
}


@pytest.mark.parametrize("kind", PARSERS)
def test_every_name_of_envoy_gateways_own_tests_parses_and_spells_itself_again(kind: str) -> None:
    assert len(IR_NAMES[kind]) > 50

    for name in IR_NAMES[kind]:
        assert str(PARSERS[kind](name)) == name


def test_every_chain_of_envoy_gateways_own_tests_names_its_route() -> None:
    for name in IR_NAMES["chain"]:
        found = names.parse_chain(name, http=False)

        assert isinstance(found, ObjectName)
        assert f"{found.kind.lower()}/{found.namespace}/{found.name}" == name


def test_every_policy_name_of_envoy_gateways_own_tests_tells_its_policy() -> None:
    for name in IR_NAMES["policy"]:
        filter_name = f"envoy.filters.http.x/{name}"

        assert names.parse_filter(filter_name).owner is not None
        assert str(names.parse_filter(filter_name)) == filter_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "httproute/default/api/rule/0/match/1/www_foo_com",
            RouteName("HTTPRoute", "default", "api", 0, 1, "www.foo.com"),
        ),
        (
            "grpcroute/default/g/rule/0/match/-1/*",
            RouteName("GRPCRoute", "default", "g", 0, -1, "*"),
        ),
        (
            "httproute/a/b.c/rule/12/match/0/*_foo_com",
            RouteName("HTTPRoute", "a", "b.c", 12, 0, "*.foo.com"),
        ),
        (
            "httproute/a/b/rule/0/match/0/cors-preflight/x_y",
            RouteName("HTTPRoute", "a", "b", 0, 0, "x.y", preflight=True),
        ),
        # a namespace, a route and a host may have any of the words of the grammar as their name
        (
            "httproute/rule/match/rule/0/match/0/match",
            RouteName("HTTPRoute", "rule", "match", 0, 0, "match"),
        ),
        (
            "httproute/a/b/rule/0/match/0/cors-preflight",
            RouteName("HTTPRoute", "a", "b", 0, 0, "cors-preflight"),
        ),
    ],
)
def test_a_route_name_tells_rule_match_and_host(name: str, expected: RouteName) -> None:
    assert names.parse_route(name) == expected
    assert str(expected) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "local_route",
        "tcproute/a/b/rule/0/match/0/x",
        "httproute/a/b/rule/0/match/0",
        "httproute/a/b/rule/0/match/0/",
        "httproute/a/b/rule/-1/match/0/x",
        "httproute/a/b/rule/01/match/0/x",
        "httproute/a/b/rule/0/match/0/x/extra",
        "httproute/a/b/rule/0/match/0/x\n",
        "httproute/A/b/rule/0/match/0/x",
        "httproute/a./b/rule/0/match/0/x",
        "httproute/a/b/rule/٣/match/0/x",
        "HTTPRoute/a/b/rule/0/match/0/x",
        "default/eg/http",
    ],
)
def test_what_is_no_route_name_is_not_guessed(name: str) -> None:
    assert names.parse_route(name) is None


@pytest.mark.parametrize(
    ("name", "udp", "expected"),
    [
        ("default/eg/http", False, ListenerName("default", "eg", "http")),
        ("default/eg/http-quic", True, ListenerName("default", "eg", "http", quic=True)),
        ("default/eg/http-quic", False, ListenerName("default", "eg", "http-quic")),
        ("a/gw/b/set/web", False, ListenerName("a", "gw", "web", "b", "set")),
        ("tcproute/a/b", False, ListenerName("tcproute", "a", "b")),
        ("tcp-80", False, PortName("tcp", 80)),
        ("udp-443", True, PortName("udp", 443)),
        (
            "envoy-gateway-proxy-ready-0.0.0.0-19001",
            False,
            OwnListenerName("ready", "0.0.0.0", 19001),
        ),
        ("envoy-gateway-proxy-stats-::-19001", False, OwnListenerName("stats", "::", 19001)),
        ("tcp-0", False, None),
        ("a/b", False, None),
        ("a/b/c/d", False, None),
        ("a/b/", False, None),
        ("virtualInbound", False, None),
    ],
)
def test_a_listener_name_tells_gateway_and_section(name: str, udp: bool, expected: object) -> None:
    assert names.parse_listener(name, udp=udp) == expected
    assert expected is None or str(expected) == name


@pytest.mark.parametrize(
    ("name", "http", "expected"),
    [
        ("tcproute/a/b", True, ListenerName("tcproute", "a", "b")),
        ("tcproute/a/b", False, ObjectName("TCPRoute", "a", "b")),
        ("tlsroute/a/b", False, ObjectName("TLSRoute", "a", "b")),
        ("default/eg/https", True, ListenerName("default", "eg", "https")),
        ("default/eg/https", False, None),
        ("http-80", True, PortName("http", 80)),
        ("", True, None),
    ],
)
def test_a_chain_name_is_read_by_its_position(name: str, http: bool, expected: object) -> None:
    assert names.parse_chain(name, http=http) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "default/eg/http/www_foo_com",
            VirtualHostName(ListenerName("default", "eg", "http"), "www.foo.com"),
        ),
        ("default/eg/http/*", VirtualHostName(ListenerName("default", "eg", "http"), "*")),
        (
            "a/gw/b/set/web/*_x",
            VirtualHostName(ListenerName("a", "gw", "web", "b", "set"), "*.x"),
        ),
        ("www_foo_com", VirtualHostName(None, "www.foo.com")),
        ("a/b/c/d/e", None),
        ("a/b/c/", None),
    ],
)
def test_a_virtual_host_name_tells_listener_and_host(name: str, expected: object) -> None:
    assert names.parse_virtual_host(name) == expected
    assert expected is None or str(expected) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("httproute/a/b/rule/0", RuleCluster("HTTPRoute", "a", "b", 0)),
        ("httproute/a/b/rule/3/backend/2", RuleCluster("HTTPRoute", "a", "b", 3, 2)),
        ("tlsroute/a/b/rule/-1", RuleCluster("TLSRoute", "a", "b", -1)),
        ("httproute/a/b/rule/0-mirror-1", MirrorCluster("HTTPRoute", "a", "b", 0, 1)),
        (
            "httproute/a/b/rule/0-mirror-1/backend/-1",
            MirrorCluster("HTTPRoute", "a", "b", 0, 1, -1),
        ),
        ("service/a/b/8080/http", BackendCluster("Service", "a", "b", 8080, "http")),
        ("serviceimport/a/b/1/grpc", BackendCluster("ServiceImport", "a", "b", 1, "grpc")),
        (
            "securitypolicy/a/b/extauth/0",
            PolicyCluster("SecurityPolicy", "a", "b", "extauth", 0),
        ),
        (
            "envoyextensionpolicy/a/b/extproc/1/backend/0",
            PolicyCluster("EnvoyExtensionPolicy", "a", "b", "extproc", 1, 0),
        ),
        ("auth_example_com_443", UrlCluster("auth.example.com", 443)),
        ("ratelimit_cluster", OwnCluster("rate limit service", "ratelimit_cluster")),
        ("accesslog_als_0_1", OwnCluster("access log", "accesslog_als_0_1")),
        ("sds_run_agent_sock", OwnCluster("secrets", "sds_run_agent_sock")),
        ("EmptyCluster", OwnCluster("no route attached", "EmptyCluster")),
        ("invalid-backend-cluster", OwnCluster("invalid backendRefs", "invalid-backend-cluster")),
        ("outbound|80||web.default.svc.cluster.local", None),
        ("my_cluster", None),
        ("cluster_0", None),
        ("service/a/b/8080/HTTP", None),
        ("httproute/a/b/rule/-2", None),
        ("httproute/a/b", None),
    ],
)
def test_a_cluster_name_tells_what_it_serves(name: str, expected: object) -> None:
    assert names.parse_cluster(name) == expected
    assert expected is None or str(expected) == name


def test_the_fleets_own_cluster_is_known_by_its_key_only() -> None:
    assert names.parse_cluster("demo/eg", "demo/eg") == OwnCluster("own fleet", "demo/eg")
    assert names.parse_cluster("demo/eg") is None


def test_a_fleet_is_a_gateway_or_a_class() -> None:
    assert names.parse_fleet("demo/eg") == FleetName("demo", "eg")
    merged = names.parse_fleet("eg-class")
    assert merged is not None
    assert merged.merged
    assert str(merged) == "eg-class"


def test_a_region_without_a_backend_is_none() -> None:
    assert names.parse_region("httproute/a/b/rule/0") is None
    assert names.parse_region("eu-west-1") is None
    assert names.parse_region("") is None


@pytest.mark.parametrize(
    ("name", "certificate", "purpose", "owners"),
    [
        ("a/b", True, "certificate", [ObjectName("Secret", "a", "b")]),
        ("a/b", None, "certificate", [ObjectName("Secret", "a", "b")]),
        ("a/b/ca.crt", False, "client CA", [ObjectName("ClientTrafficPolicy", "a", "b")]),
        ("a/b/ca.crl", False, "CRL", [ObjectName("ClientTrafficPolicy", "a", "b")]),
        ("gateway/a/b/443/ca.crt", False, "frontend CA", [ObjectName("Gateway", "a", "b")]),
        (
            "policy/team-ca",
            False,
            "backend CA",
            [
                ObjectName("BackendTLSPolicy", "team", "policy"),
                ObjectName("Backend", "team", "policy"),
            ],
        ),
        ("policy/team-ca", True, "certificate", [ObjectName("Secret", "policy", "team-ca")]),
        (
            "policy/team-ca",
            None,
            "certificate or backend CA",
            [
                ObjectName("Secret", "policy", "team-ca"),
                ObjectName("BackendTLSPolicy", "team", "policy"),
                ObjectName("Backend", "team", "policy"),
            ],
        ),
        (
            "oauth2/client_secret/securitypolicy/a/b",
            None,
            "OIDC client secret",
            [ObjectName("SecurityPolicy", "a", "b")],
        ),
        (
            "credential_injector/credential/httproutefilter/a/b",
            None,
            "injected credential",
            [ObjectName("HTTPRouteFilter", "a", "b")],
        ),
        ("xds_trusted_ca", None, "control plane CA", []),
        ("system_ca_certificates", False, "system CA", []),
    ],
)
def test_a_secret_name_tells_purpose_and_owners(
    name: str, certificate: bool | None, purpose: str, owners: list[ObjectName]
) -> None:
    found = names.parse_secret(name, is_certificate=certificate)

    assert found is not None
    assert (found.purpose, list(found.owners), str(found)) == (purpose, owners, name)


def test_a_secret_of_nobody_is_none() -> None:
    assert names.parse_secret("default") is None
    assert names.parse_secret("kubernetes://ns-secret") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("envoy.filters.http.cors", FilterName("envoy.filters.http.cors")),
        (
            "envoy.filters.http.ext_authz/securitypolicy/a/b",
            FilterName("envoy.filters.http.ext_authz", ObjectName("SecurityPolicy", "a", "b")),
        ),
        (
            "envoy.filters.http.ext_proc/envoyextensionpolicy/a/b/extproc/0",
            FilterName(
                "envoy.filters.http.ext_proc",
                ObjectName("EnvoyExtensionPolicy", "a", "b"),
                "extproc/0",
            ),
        ),
        (
            "envoy.filters.http.ratelimit/a/b",
            FilterName(
                "envoy.filters.http.ratelimit", ObjectName("BackendTrafficPolicy", "a", "b")
            ),
        ),
        (
            "envoy.filters.http.dynamic_forward_proxy.envoy-gateway-dfp-cache-all-1000ms-a-b/c",
            FilterName(
                "envoy.filters.http.dynamic_forward_proxy.envoy-gateway-dfp-cache-all-1000ms",
                ObjectName("BackendTrafficPolicy", "a-b", "c"),
            ),
        ),
        (
            "envoy.filters.http.bandwidth_limit/request",
            FilterName("envoy.filters.http.bandwidth_limit", None, "request"),
        ),
        ("envoy.filters.http.lua/0", FilterName("envoy.filters.http.lua", None, "0")),
        (
            "envoy.filters.http.stateful_session/httproute/a/b/rule/0/match/0/x",
            FilterName(
                "envoy.filters.http.stateful_session", None, "httproute/a/b/rule/0/match/0/x"
            ),
        ),
    ],
)
def test_a_filter_name_tells_its_policy_if_it_has_one(name: str, expected: FilterName) -> None:
    assert names.parse_filter(name) == expected
    assert str(expected) == name
