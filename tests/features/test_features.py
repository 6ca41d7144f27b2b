"""`egops inspect features`: who asks, where it is live, where it got lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from egops.cli import root
from egops.features.catalogue import FEATURES
from tests.xds.dumps import DUMPS, load, routes, section

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: demo}
spec:
  gatewayClassName: eg
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: demo}
spec:
  parentRefs: [{name: eg}]
  rules: [{name: api, backendRefs: [{name: blue, port: 3000}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain, namespace: demo}
spec:
  parentRefs: [{name: eg}]
  rules: [{backendRefs: [{name: blue, port: 3000}]}]
"""
COMPRESSION = """\
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: small, namespace: demo}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: TARGET}]
  compression: [{type: Gzip, gzip: {}}]
"""
REFUSED = """\
status:
  ancestors:
    - controllerName: gateway.envoyproxy.io/gatewayclass-controller
      ancestorRef: {group: gateway.networking.k8s.io, kind: Gateway, name: eg}
      conditions: [{type: Accepted, status: "False", reason: Invalid, message: not so}]
"""
OLD = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: envoy-gateway, namespace: system, labels: {control-plane: envoy-gateway}}
spec:
  template:
    spec:
      containers: [{name: envoy-gateway, image: "docker.io/envoyproxy/gateway:v1.2.8"}]
"""
FILTER = "envoy.filters.http.compressor.gzip"


def features(tmp_path: Path, manifests: str, document: Any = None) -> dict[str, Any]:
    (tmp_path / "objects.yaml").write_text(manifests, "utf-8")
    (tmp_path / "dump.json").write_text(json.dumps(document or load("eg-1.3.0")), "utf-8")
    words = ("-f", str(tmp_path / "objects.yaml"), "--config-dump", str(tmp_path / "dump.json"))
    result = CliRunner().invoke(root, ("inspect", "features", *words, "-o", "json"))
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)["features"]}


def compressed(name: str) -> Any:
    """Return a dump whose routes of one HTTPRoute compress."""
    document = load("eg-1.3.0")
    for route in routes(document):
        if f"/{name}/" in route["name"]:
            route.setdefault("typed_per_filter_config", {})[FILTER] = {"overrides": {}}
    return document


def policy(target: str = "canary") -> str:
    return COMPRESSION.replace("TARGET", target)


def test_a_feature_that_reached_envoy_is_live(tmp_path: Path) -> None:
    row = features(tmp_path, GATEWAY + policy(), compressed("canary"))["response-compression"]

    (ask,) = row["asks"]
    assert ask["object"] == "BackendTrafficPolicy/demo/small"
    assert (ask["lostAt"], ask["missing"], len(ask["live"])) == ("", [], 1)
    assert ask["file"].endswith("objects.yaml")
    assert (tmp_path / "objects.yaml").read_text("utf-8").splitlines()[ask["line"] - 1] == (
        "  compression: [{type: Gzip, gzip: {}}]"
    )


def test_a_feature_of_another_route_is_not_this_ones(tmp_path: Path) -> None:
    row = features(tmp_path, GATEWAY + policy(), compressed("plain"))["response-compression"]

    (ask,) = row["asks"]
    assert ask["live"] == []
    assert len(row["live"]) == 1
    assert ask["lostAt"] == "unknown"


@pytest.mark.parametrize(
    ("manifests", "hop", "reason"),
    [
        (policy("nowhere"), "API", "its target does not exist"),
        (policy() + REFUSED, "control plane", "Accepted=False Invalid: not so"),
        (policy() + OLD, "control plane", "Envoy Gateway 1.2.8 lacks it (since 1.3)"),
        (policy(), "unknown", "no proxy has it, and the object's status is not at hand"),
    ],
)
def test_the_hop_where_a_feature_got_lost_is_told(
    tmp_path: Path, manifests: str, hop: str, reason: str
) -> None:
    (ask,) = features(tmp_path, GATEWAY + manifests)["response-compression"]["asks"]

    assert (ask["lostAt"], ask["reason"]) == (hop, reason)


def test_a_rule_name_is_asked_for_by_the_route_and_live_by_metadata(tmp_path: Path) -> None:
    named = load("eg-1.3.0")
    for route in routes(named):
        if "/canary/" in route["name"]:
            resources = route["metadata"]["filter_metadata"]["envoy-gateway"]["resources"]
            resources[0]["sectionName"] = "api"

    (ask,) = features(tmp_path, GATEWAY, named)["rule-names"]["asks"]
    (lost,) = features(tmp_path, GATEWAY)["rule-names"]["asks"]

    assert len(ask["live"]) == 1
    assert lost["live"] == []


def test_a_feature_without_a_trace_is_not_judged(tmp_path: Path) -> None:
    proxy = """\
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: fleet, namespace: demo}
spec: {preserveRouteOrder: true}
"""
    row = features(tmp_path, GATEWAY + proxy)["preserve-route-order"]

    assert not row["visible"]
    assert [ask["lostAt"] for ask in row["asks"]] == [""]


def test_a_switch_that_is_off_asks_for_nothing(tmp_path: Path) -> None:
    off = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\n"
    off += "metadata: {name: fleet, namespace: demo}\nspec: {preserveRouteOrder: false}\n"

    assert features(tmp_path, GATEWAY + off)["preserve-route-order"]["asks"] == []


def test_without_objects_only_what_is_live_is_told() -> None:
    words = ("inspect", "features", "--config-dump", str(DUMPS / "eg-1.9.0.json.gz"))
    table = CliRunner().invoke(root, words).stdout

    assert [line.split()[0] for line in table.splitlines()] == ["FEATURE", "policies-in-metadata"]
    every = CliRunner().invoke(root, (*words, "--all")).stdout
    assert len(every.splitlines()) == len(FEATURES) + 1


def test_a_filter_of_a_policy_is_told_from_its_neighbours(tmp_path: Path) -> None:
    auth = """\
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: NAME, namespace: demo}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: canary}]
  extAuth: {bodyToExtAuth: {maxRequestBytes: 1024}, http: {backendRefs: [{name: a, port: 1}]}}
"""
    document = load("eg-1.3.0")
    for entry in section(document, "Listeners")["dynamic_listeners"]:
        listener = entry["active_state"]["listener"]
        chain = listener.get("default_filter_chain") or listener["filter_chains"][0]
        prefix = "envoy.filters.http.ext_authz/securitypolicy/demo"
        chain["filters"][0]["typed_config"]["http_filters"][:0] = [
            {"name": f"{prefix}/one", "typed_config": {"failure_mode_allow": True}},
            {"name": f"{prefix}/two", "typed_config": {"with_request_body": {}}},
        ]

    def live(name: str) -> int:
        found = features(tmp_path, GATEWAY + auth.replace("NAME", name), document)
        (ask,) = found["ext-auth-body"]["asks"]
        return len(ask["live"])

    assert (live("one"), live("two")) == (0, 1)


def test_every_feature_has_a_name_of_its_own_and_a_trace_or_a_reason() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert feature.live is not None or feature.note
        assert feature.asks or feature.note
