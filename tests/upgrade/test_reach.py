"""Which objects a finding of an upgrade rule is about, and which difference it accounts for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from egops.finding import Finding, Problem, Severity
from egops.gatewayapi import KINDS
from egops.gather.manifests import Manifests, ordered
from egops.snapshot import Origin, Path, Ref, Snapshot, Source, SourceType
from egops.upgrade.reach import explains, reach
from egops.xds.effects import Effect
from egops.xds.meaning import NOTHING, Part
from egops.xds.names import ObjectName

OBJECTS = """\
- {apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: eg},
   spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
- apiVersion: gateway.networking.k8s.io/v1
  kind: Gateway
  metadata: {name: edge, namespace: shop}
  spec:
    gatewayClassName: eg
    listeners:
    - {name: http, port: 80, protocol: HTTP}
    - {name: tcp, port: 5432, protocol: TCP}
- {apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {}}
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: cart, namespace: shop}
  spec:
    parentRefs: [{name: edge, sectionName: http}]
    rules:
    - backendRefs: [{name: cart, port: 80}]
    - filters:
      - type: ExtensionRef
        extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: rewrite}
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: other, namespace: shop}
  spec: {parentRefs: [{name: edge, sectionName: http}], rules: [{}]}
- apiVersion: gateway.networking.k8s.io/v1alpha2
  kind: TCPRoute
  metadata: {name: db, namespace: shop}
  spec: {parentRefs: [{name: edge, sectionName: tcp}], rules: [{}]}
- {apiVersion: gateway.envoyproxy.io/v1alpha1, kind: HTTPRouteFilter,
   metadata: {name: rewrite, namespace: shop}, spec: {}}
- {apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy,
   metadata: {name: shape, namespace: shop}, spec: {}}
- apiVersion: gateway.envoyproxy.io/v1alpha1
  kind: BackendTrafficPolicy
  metadata: {name: all, namespace: shop}
  spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]}
- apiVersion: gateway.envoyproxy.io/v1alpha1
  kind: SecurityPolicy
  metadata: {name: one, namespace: shop}
  spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart}]}
- apiVersion: gateway.envoyproxy.io/v1alpha1
  kind: ClientTrafficPolicy
  metadata: {name: client, namespace: shop}
  spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]}
"""
KIND = {kind.name: kind for kind in KINDS}


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    manifests = Manifests()
    for body in yaml.safe_load(OBJECTS):
        manifests.add(body, Origin())
    found = ordered(manifests.resources)
    return Snapshot(datetime.now(UTC), Source(SourceType.FILES), resources=found)


def finding(
    snapshot: Snapshot,
    where: str,
    path: Path = (),
    *,
    code: str = "EGU-1399",
    severity: Severity = Severity.WARNING,
) -> Finding:
    kind, name = where.split("/")
    resource = snapshot.get(Ref(KIND[kind], "shop" if KIND[kind].namespaced else "", name))
    assert resource is not None
    return Finding(code, "x", severity, Problem(resource.at(*path), "x"), "")


def effect(where: str, section: str = "route", path: str = "route", rule: int = 0) -> Effect:
    kind, name = where.split("/")
    number = None if kind == "Gateway" else rule
    return Effect(
        "changed", Part(section, name, ObjectName(kind, "shop", name), number, NOTHING), path
    )


CART, OTHER = "HTTPRoute/cart", "HTTPRoute/other"
FILTER = "filters[x].typed_config.http_filters[y]"


@pytest.mark.parametrize(
    ("where", "path", "yes", "no"),
    [
        (CART, (), [effect(CART), effect(CART, rule=1)], [effect(OTHER), effect("Gateway/edge")]),
        (CART, ("spec", "rules", 1), [effect(CART, rule=1)], [effect(CART)]),
        ("Service/cart", (), [effect(CART)], [effect(OTHER)]),
        ("HTTPRouteFilter/rewrite", (), [effect(CART, rule=1)], [effect(OTHER)]),
        ("BackendTrafficPolicy/all", (), [effect(CART), effect(OTHER)], []),
        ("EnvoyProxy/shape", (), [effect(CART), effect("Gateway/edge", "listener")], []),
        (
            "SecurityPolicy/one",
            (),
            [effect(CART), effect("Gateway/edge", "filter chain", FILTER)],
            [effect(OTHER), effect("Gateway/edge", "filter chain", "transport_socket")],
        ),
        (
            "TCPRoute/db",
            (),
            [effect("TCPRoute/db", "cluster"), effect("Gateway/edge", "listener")],
            [effect(CART)],
        ),
        (
            "ClientTrafficPolicy/client",
            (),
            [effect("Gateway/edge", "filter chain", "transport_socket")],
            [effect(CART)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_finding_accounts_for_what_its_object_changes(
    snapshot: Snapshot, where: str, path: Path, yes: list[Effect], no: list[Effect]
) -> None:
    one = finding(snapshot, where, path)
    about = reach(snapshot, one)

    assert [str(each) for each in yes if not explains(one, about, each)] == []
    assert [str(each) for each in no if explains(one, about, each)] == []


def test_a_client_policy_that_breaks_its_listener_takes_the_routes_along(
    snapshot: Snapshot,
) -> None:
    broken = finding(snapshot, "ClientTrafficPolicy/client", severity=Severity.ERROR)

    assert explains(broken, reach(snapshot, broken), effect(CART))


def test_what_changes_everywhere_is_claimed_by_the_rule_that_knows_it(snapshot: Snapshot) -> None:
    lost = effect(CART, "cluster", "outlier_detection")
    mass = finding(snapshot, "Gateway/edge", code="EGU-1303")
    local = finding(snapshot, CART, code="EGU-1311")

    assert explains(mass, reach(snapshot, mass), lost)
    assert not explains(local, reach(snapshot, local), lost)
    assert not explains(mass, reach(snapshot, mass), effect(CART))


def test_an_info_about_the_installation_accounts_for_nothing(snapshot: Snapshot) -> None:
    general = finding(snapshot, "Gateway/edge", severity=Severity.INFO)

    assert not explains(general, reach(snapshot, general), effect(CART))
    assert not explains(general, reach(snapshot, general), effect("Gateway/edge", "listener"))


def test_an_info_about_one_listener_accounts_for_it(snapshot: Snapshot) -> None:
    path: Path = ("spec", "listeners", 0)
    opened = finding(snapshot, "Gateway/edge", path, severity=Severity.INFO)

    assert explains(opened, reach(snapshot, opened), effect("Gateway/edge", "listener"))


def test_a_rule_about_one_setting_of_a_listener_explains_that_alone(snapshot: Snapshot) -> None:
    alpn = finding(snapshot, "ClientTrafficPolicy/client", code="EGU-1302")
    about = reach(snapshot, alpn)
    chain = "transport_socket.typed_config.common_tls_context.alpn_protocols"

    assert explains(alpn, about, effect("Gateway/edge", "filter chain", chain))
    assert not explains(alpn, about, effect("Gateway/edge", "filter chain", "filters[x].y"))
