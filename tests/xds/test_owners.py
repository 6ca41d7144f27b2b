"""Whose an xDS resource is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from egops.xds import owners
from egops.xds.config_dump import (
    Cluster,
    ConfigDump,
    FilterChain,
    Listener,
    LocalityEndpoints,
    SecretEntry,
)
from egops.xds.names import PortName
from egops.xds.owners import Conflict, GatewayListener, Own, Owner, Source
from egops.xds.routemap import RouteRow, route_rows
from egops.xds.versions import version_at_least, version_hints
from tests.xds.dumps import RELEASES, load, made_by, metadata, minimal, parsed, routes


def rows(dump: ConfigDump) -> list[RouteRow]:
    return list(route_rows(dump))


def only(dump: ConfigDump) -> RouteRow:
    (row,) = rows(dump)
    return row


def host(*found: Any, name: str = "default/eg/http/*", domains: Any = ("*",), **more: Any) -> Any:
    return {"name": name, "domains": list(domains), "routes": list(found), **more}


def route(name: str = "httproute/a/b/rule/0/match/0/*", **more: Any) -> Any:
    action = {"route": {"cluster": "httproute/a/b/rule/0"}}
    return {"name": name, "match": {"prefix": "/"}, **action, **more}


# ------------------------------------------------------------------ real dumps


@pytest.mark.parametrize("release", RELEASES)
def test_every_route_of_a_real_dump_finds_its_rule(release: str) -> None:
    found = rows(parsed(load(f"eg-{release}")))

    sources = {str(row.source) for row in found if row.source}
    assert sources == {
        f"HTTPRoute/demo/{name}/0" for name in ("canary", "moved", "plain", "private")
    }
    for row in found:
        assert row.source is not None or isinstance(row.own, str)
        if row.source:
            assert row.gateway is not None
            assert str(row.gateway) in ("demo/eg/http", "demo/eg/https")
            assert row.source.hostname in row.envoy.domains
            assert row.envoy.listeners[0].port in (10080, 10443)


@pytest.mark.parametrize("release", RELEASES)
def test_every_cluster_and_locality_of_a_real_dump_finds_its_owner(release: str) -> None:
    dump = parsed(load(f"eg-{release}"))

    for entry in dump.clusters:
        assert isinstance(
            owners.cluster_owner(entry.cluster, dump.local_cluster_name), (Owner, Own)
        )
    backends = [
        owners.locality_owner(locality)
        for assignment in dump.endpoints
        if assignment.cluster_name == "httproute/demo/canary/rule/0"
        for locality in assignment.endpoints
    ]
    assert [owner.backend for owner in backends if owner] == [0, 1]


@pytest.mark.parametrize("release", RELEASES)
def test_every_listener_and_chain_of_a_real_dump_finds_its_gateway(release: str) -> None:
    dump = parsed(load(f"eg-{release}"))

    for entry in dump.listeners:
        assert entry.active is not None
        listener = entry.active.listener
        owner = owners.listener_owner(listener)
        if entry.name.startswith("demo/"):
            assert str(owner) == f"Gateway/{entry.name}"
            assert [owners.chain_owner(chain) for chain in listener.chains] == [owner]
        else:
            assert isinstance(owner, Own)


@pytest.mark.parametrize(
    ("release", "least"), [("1.2.8", None), ("1.3.0", None), ("1.9.0", (1, 7))]
)
def test_a_dump_tells_the_least_release_that_can_have_made_it(
    release: str, least: tuple[int, int] | None
) -> None:
    dump = parsed(load(f"eg-{release}"))

    assert version_at_least(dump) == least
    actual = tuple(int(part) for part in release.split(".")[:2])
    assert all(hint.since <= actual for hint in version_hints(dump))


# ------------------------------------------------------------------ edited dumps


def test_metadata_of_another_object_is_a_conflict() -> None:
    document = load("eg-1.3.0")
    edited = next(routes(document))
    made_by(edited)["name"] = "elsewhere"

    row = next(row for row in rows(parsed(document)) if row.envoy.route == edited["name"])

    assert row.source is None
    assert isinstance(row.conflict, Conflict)
    assert "demo/elsewhere" in row.conflict.metadata
    assert row.owner_text == "<conflict>"


def test_a_renamed_route_is_a_conflict_not_a_guess() -> None:
    document = load("eg-1.9.0")
    edited = next(routes(document))
    edited["name"] = "patched"

    row = next(row for row in rows(parsed(document)) if row.envoy.route == "patched")

    assert row.source is None
    assert isinstance(row.conflict, Conflict)
    assert row.conflict.metadata == "HTTPRoute/demo/canary"


def test_a_route_of_nobody_has_no_source() -> None:
    row = only(minimal(host(route("added-by-hand"), name="mine")))

    assert row.source is None
    assert row.conflict is msgspec.UNSET
    assert row.own is msgspec.UNSET
    assert row.gateway is None
    assert row.owner_text == "<none>"


def test_a_name_alone_is_enough() -> None:
    row = only(minimal(host(route("grpcroute/a/b/rule/2/match/-1/*"))))

    assert row.source == Source("GRPCRoute", "a", "b", 2, -1, "", "*")
    assert row.gateway is not None
    assert str(row.gateway) == "default/eg/http"


def test_metadata_without_a_kind_agrees_with_any() -> None:
    unkind = metadata("", "a", "b")

    assert only(minimal(host(route(metadata=unkind)))).source == Source(
        "HTTPRoute", "a", "b", 0, 0, "", "*"
    )


def test_the_rule_name_comes_from_metadata() -> None:
    named = metadata("HTTPRoute", "a", "b", "checkout")

    source = only(minimal(host(route(metadata=named)))).source

    assert source is not None
    assert source.section_name == "checkout"


@pytest.mark.parametrize(
    "name",
    [
        "httproute/a/b/rule/0/match/0/x/y",
        "httproute/a/b/rule/00x/match/0/*",
        "httproute/a/b/rule/1/match/²/*",
        "httproute/a/b/rule/1/match/0/",
        "httproute/a/b/rule/1/match/0/a b",
    ],
)
def test_the_fast_path_accepts_nothing_that_the_grammar_refuses(name: str) -> None:
    mine = metadata("HTTPRoute", "a", "b")

    assert only(minimal(host(route(name, metadata=mine)))).source is None


def test_a_preflight_helper_belongs_to_its_rule() -> None:
    name = "httproute/a/b/rule/0/match/0/cors-preflight/x_y"
    mine = metadata("HTTPRoute", "a", "b")

    source = only(minimal(host(route(name, metadata=mine)))).source

    assert source == Source("HTTPRoute", "a", "b", 0, 0, "", "x.y", preflight=True)


def test_a_virtual_host_keeps_its_own_listener_in_a_shared_route_configuration() -> None:
    other = host(
        route(),
        name="default/eg/http-b/*",
        metadata=metadata("Gateway", "default", "eg", "http-b"),
    )

    row = only(minimal(other, config="default/eg/http-a"))

    assert row.gateway is not None
    assert row.gateway.listener == "http-b"


def test_a_virtual_host_of_scheme_two_has_its_gateway_in_metadata_only() -> None:
    mine = host(route(), name="www_foo_com", metadata=metadata("Gateway", "default", "eg", "http"))

    row = only(minimal(mine, config="http-80"))

    assert row.gateway is not None
    assert str(row.gateway) == "default/eg/http"


def test_a_listener_set_keeps_gateway_and_set() -> None:
    mine = host(
        route(),
        name="a/gw/b/set/web/*",
        metadata=metadata("Gateway", "a", "gw", "web"),
    )

    row = only(minimal(mine, config="a/gw/b/set/web"))

    assert row.gateway is not None
    assert str(row.gateway) == "a/gw/web"
    assert row.gateway.listener_set == "b/set"


def test_a_virtual_host_with_the_metadata_of_another_gateway_has_none() -> None:
    mixed = host(route(), metadata=metadata("Gateway", "default", "other", "http"))

    assert only(minimal(mixed)).gateway is None


def test_the_helpers_of_envoy_gateway_are_its_own() -> None:
    found = rows(minimal(host(route(""), name="prometheus_stats"), config="local_route"))

    assert [(row.source, row.own) for row in found] == [(None, "metrics")]


# ------------------------------------------------------------------ actions


def test_the_share_of_invalid_backends_is_told() -> None:
    weighted = {
        "clusters": [
            {"name": "httproute/a/b/rule/0/backend/0", "weight": 1},
            {"name": "invalid-backend-cluster", "weight": 3},
        ]
    }
    action = {
        "weighted_clusters": weighted,
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
    }

    found = only(minimal(host({**route(), "route": action}))).action

    assert found.invalid_share == pytest.approx(0.75)
    assert found.invalid_status == 500
    assert [target.share for target in found.clusters] == [0.25, 0.75]
    assert found.clusters[0].owner == Owner("HTTPRoute", "a", "b", "backendRef", 0, 0)
    assert found.clusters[1].note == "invalid backendRefs"


def test_a_response_code_that_is_not_printed_is_503() -> None:
    action = {"weighted_clusters": {"clusters": [{"name": "invalid-backend-cluster", "weight": 1}]}}

    found = only(minimal(host({**route(), "route": action}))).action

    assert (found.invalid_share, found.invalid_status) == (1.0, 503)


@pytest.mark.parametrize(
    ("answer", "by"),
    [
        ({"status": 500}, ""),
        ({"status": 503}, ""),
        ({"status": 500, "body": {"inline_string": "sorry"}}, "HTTPRouteFilter"),
        ({"status": 404}, "HTTPRouteFilter"),
    ],
)
def test_an_answer_is_somebodys_only_where_that_is_sure(answer: Any, by: str) -> None:
    direct = {"name": "httproute/a/b/rule/0/match/0/*", "match": {"prefix": "/"}}

    found = only(minimal(host({**direct, "direct_response": answer}))).action.direct_response

    assert found is not None
    assert found.by == by
    assert bool(found.reason) == (not by)


def test_a_redirect_keeps_what_it_does_not_change() -> None:
    redirect = {"scheme_redirect": "https", "port_redirect": 8443, "response_code": "FOUND"}
    name = {"name": "httproute/a/b/rule/0/match/0/*", "match": {"prefix": "/"}}

    found = only(minimal(host({**name, "redirect": redirect}))).action

    assert found.redirect is not None
    assert (found.redirect.status, found.redirect.scheme, found.redirect.port) == (
        302,
        "https",
        8443,
    )
    assert str(found) == "redirect 302 https://:8443"


def test_a_route_of_an_unknown_shape_does_not_hide_the_others() -> None:
    odd = {**route(), "route": {"weighted_clusters": "?"}, "match": []}

    found = rows(minimal(host(odd, route("httproute/a/b/rule/1/match/0/*"))))

    assert len(found) == 2
    assert found[0].action.type == "unknown"
    assert found[0].match.other[0].startswith("unreadable")
    assert found[1].action.type == "route"


def test_filters_name_policies_and_metadata_does() -> None:
    per_filter: dict[str, Any] = {
        "envoy.filters.http.ext_authz/securitypolicy/a/auth": {},
        "envoy.filters.http.cors": {},
    }
    policy = {"kind": "BackendTrafficPolicy", "namespace": "a", "name": "btp"}
    mine = metadata("HTTPRoute", "a", "b", policies=[policy])

    found = only(minimal(host(route(typed_per_filter_config=per_filter, metadata=mine))))

    assert {(policy.kind, policy.name, policy.origin) for policy in found.policies} == {
        ("BackendTrafficPolicy", "btp", "metadata"),
        ("SecurityPolicy", "auth", "filter"),
    }
    assert found.filters == tuple(per_filter)


# ------------------------------------------------------------------ the rest


def decoded(kind: Any, body: Any) -> Any:
    return msgspec.convert(body, kind)


def test_a_cluster_is_owned_by_metadata_and_name_together() -> None:
    cluster = {"name": "httproute/a/b/rule/1", "metadata": metadata("HTTPRoute", "a", "b", "r")}

    assert owners.cluster_owner(decoded(Cluster, cluster)) == Owner(
        "HTTPRoute", "a", "b", "rule", 1, None, "r"
    )
    cluster["metadata"] = metadata("HTTPRoute", "a", "c")
    assert isinstance(owners.cluster_owner(decoded(Cluster, cluster)), Conflict)


def test_a_cluster_of_unknown_name_is_owned_by_its_metadata_or_nobody() -> None:
    cluster = {"name": "mine", "metadata": metadata("Backend", "a", "b")}

    assert owners.cluster_owner(decoded(Cluster, cluster)) == Owner("Backend", "a", "b")
    assert owners.cluster_owner(Cluster(name="outbound|80||web.svc")) is None


def test_a_listener_of_scheme_two_tells_its_port() -> None:
    assert owners.listener_owner(Listener(name="tcp-443")) == PortName("tcp", 443)


def test_a_listener_of_another_control_plane_is_nobodys() -> None:
    assert owners.listener_owner(Listener(name="virtualOutbound")) is None
    assert owners.chain_owner(FilterChain(name="virtualOutbound-blackhole")) is None


def test_a_tcp_chain_belongs_to_its_route() -> None:
    assert owners.chain_owner(FilterChain(name="tlsroute/a/b")) == Owner(
        "TLSRoute", "a", "b", "route"
    )


def test_a_listener_set_of_a_chain_keeps_its_set() -> None:
    found = owners.listener_name_owner("a/gw/b/set/web")

    assert found == GatewayListener("a", "gw", "web", "b/set")


def test_a_region_tells_the_backend_of_a_policy_too() -> None:
    locality = {"locality": {"region": "securitypolicy/a/b/extauth/0/backend/1"}}

    assert owners.locality_owner(decoded(LocalityEndpoints, locality)) == Owner(
        "SecurityPolicy", "a", "b", "extauth", None, 1
    )
    assert owners.locality_owner(LocalityEndpoints()) is None


def test_a_secret_may_have_several_owners_until_its_contents_tell() -> None:
    entry = SecretEntry(name="shop/team-ca")

    both = owners.secret_owners(entry)
    assert isinstance(both, tuple)
    assert [owner.kind for owner in both] == ["Secret", "BackendTLSPolicy", "Backend"]
    certificate = owners.secret_owners(entry, "tls_certificate")
    assert certificate == (Owner("Secret", "shop", "team-ca", "certificate"),)


def test_a_filters_name_tells_its_policy() -> None:
    name = "envoy.filters.http.wasm/envoyextensionpolicy/a/b/wasm/0"

    assert owners.filter_owner(name) == Owner("EnvoyExtensionPolicy", "a", "b", "wasm")
    assert owners.filter_owner("envoy.filters.http.jwt_authn") is None
