"""`egops routes map`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from egops.cli import root
from tests.xds.dumps import DUMPS, RELEASES, load, made_by, routes, section

if TYPE_CHECKING:
    from pathlib import Path

EG_130 = str(DUMPS / "eg-1.3.0.json.gz")

ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: demo}
spec:
  parentRefs: [{name: eg}]
  hostnames: [canary.demo.test]
  rules:
    - matches: [{path: {type: PathPrefix, value: /api}}]
      backendRefs:
        - {name: blue, port: 3000, weight: 90}
        - {name: green, port: 3000, weight: 10}
"""
GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: demo}
spec:
  gatewayClassName: eg
  listeners:
    - {name: http, port: 80, protocol: HTTP}
    - {name: https, port: 443, protocol: HTTPS}
"""
POLICIES = """\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: canary, namespace: demo}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: canary}]
  retry: {numRetries: 2}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: hidden, namespace: demo}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: clients, namespace: demo}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg, sectionName: https}]
"""


def egops(*words: str) -> Result:
    return CliRunner().invoke(root, ("routes", "map", *words))


def mapped(*words: str, dump: str = EG_130) -> Any:
    result = egops("--config-dump", dump, "-o", "json", *words)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def write(path: Path, document: Any) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return str(path)


@pytest.mark.parametrize("release", RELEASES)
def test_the_contract_holds_on_a_real_dump_of_every_release(release: str) -> None:
    rows = mapped(dump=str(DUMPS / f"eg-{release}.json.gz"))["routes"]

    assert len([row for row in rows if row["source"]]) == 7
    for row in rows:
        assert set(row) >= {"envoy", "source", "gateway", "match", "action", "policies"}
        assert set(row["envoy"]) >= {"route_config", "virtual_host", "route"}
        if (source := row["source"]) is None:
            assert row["own"] in ("metrics", "readiness probe")
            continue
        assert list(source) == [
            "kind", "namespace", "name", "rule", "match", "sectionName", "hostname",
        ]  # fmt: skip
        name = f"httproute/demo/{source['name']}/rule/{source['rule']}/match/{source['match']}"
        assert row["envoy"]["route"].startswith(name)
        assert row["gateway"]["namespace"] == "demo"
        assert row["gateway"]["name"] == "eg"
        assert row["gateway"]["listener"] in ("http", "https")
        assert row["gateway"]["port"] in (80, 443)


def test_a_match_is_told_in_gateway_api_words() -> None:
    rows = mapped("--path-prefix", "/api")["routes"]

    assert [row["match"] for row in rows] == [{"path": {"type": "PathPrefix", "value": "/api"}}] * 2


def test_an_action_names_cluster_and_owner() -> None:
    (row, _) = mapped("--path-prefix", "/api")["routes"]

    (target,) = row["action"]["clusters"]
    assert target["name"] == "httproute/demo/canary/rule/0"
    assert (target["owner"]["kind"], target["owner"]["rule"]) == ("HTTPRoute", 0)
    assert row["action"]["timeout"] == "5s"
    assert row["action"]["retries"] == 2


def test_a_conflict_is_listed_and_not_guessed(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    edited = next(routes(document))
    made_by(edited)["namespace"] = "elsewhere"

    rows = mapped(dump=write(tmp_path / "dump.json", document))["routes"]

    (row,) = (row for row in rows if "conflict" in row)
    assert row["source"] is None
    assert row["conflict"]["metadata"] == "HTTPRoute/elsewhere/canary"
    assert row["conflict"]["name"] == "HTTPRoute/demo/canary"


def test_a_route_of_nobody_has_a_null_source(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    edited = next(routes(document))
    edited["name"] = "patched-in"
    del edited["metadata"]

    rows = mapped(dump=write(tmp_path / "dump.json", document))["routes"]

    (row,) = (row for row in rows if row["envoy"]["route"] == "patched-in")
    assert row["source"] is None
    assert "conflict" not in row
    assert "own" not in row


# ------------------------------------------------------------------ both ways


@pytest.mark.parametrize(
    "spec", ["HTTPRoute/demo/canary", "httproute/demo/canary/0", "demo/canary", "demo/canary/0"]
)
def test_an_object_leads_to_its_routes_clusters_and_endpoints(spec: str) -> None:
    found = mapped("--from", spec)

    assert {row["source"]["name"] for row in found["routes"]} == {"canary"}
    assert len(found["routes"]) == 2
    assert [row["name"] for row in found["clusters"]] == ["httproute/demo/canary/rule/0"]
    assert [row["owner"]["backend"] for row in found["endpoints"]] == [0, 1]


def test_a_route_name_leads_to_its_owner() -> None:
    name = "httproute/demo/plain/rule/0/match/0/www_demo_test"

    rows = mapped("--envoy-route", name)["routes"]

    assert {row["source"]["name"] for row in rows} == {"plain"}
    assert mapped("--envoy-route", "httproute/demo/plain/*")["routes"] == rows


def test_a_route_name_that_ends_in_a_star_means_itself(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    edited = next(routes(document))
    edited["name"] = "httproute/demo/canary/rule/0/match/0/*"
    other = {**edited, "name": "httproute/demo/canary/rule/0/match/0/*"}
    assert other
    dump = write(tmp_path / "dump.json", document)

    rows = mapped("--envoy-route", edited["name"], dump=dump)["routes"]

    assert edited["name"] in {row["envoy"]["route"] for row in rows}


def test_a_cluster_leads_to_the_routes_that_use_it() -> None:
    rows = mapped("--cluster", "httproute/demo/private/rule/0")["routes"]

    assert {row["source"]["name"] for row in rows} == {"private"}


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("--from", "HTTPRoute/demo/canari"), "HTTPRoute/demo/canary"),
        (
            ("--envoy-route", "httproute/demo/plain/rule/1/match/0/www_demo_test"),
            "demo/plain/rule/0",
        ),
        (("--cluster", "httproute/demo/plan/rule/0"), "httproute/demo/plain/rule/0"),
    ],
)
def test_what_is_not_there_is_an_error_with_near_names(words: tuple[str, ...], near: str) -> None:
    result = egops("--config-dump", EG_130, *words)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert near in result.stderr


def test_an_object_of_no_form_is_an_error() -> None:
    assert egops("--config-dump", EG_130, "--from", "canary").exit_code == 2


# ------------------------------------------------------------------ objects at hand


def test_manifests_tell_where_a_rule_is_written_and_what_its_port_is(tmp_path: Path) -> None:
    write(tmp_path / "route.yaml", ROUTE)
    write(tmp_path / "gateway.yaml", GATEWAY)

    found = mapped("-f", str(tmp_path), "--from", "demo/canary")

    for row in found["routes"]:
        assert row["written"]["file"].endswith("route.yaml")
        assert row["written"]["line"] == 8
        assert "portDerived" not in row["gateway"]
    (rule,) = found["rules"]
    assert (rule["lostAt"], rule["missing"]) == ("", [])
    assert len(rule["programmed"]) == 1


def test_manifests_tell_what_each_backend_ref_is(tmp_path: Path) -> None:
    manifest = write(tmp_path / "route.yaml", ROUTE)

    (row, _) = mapped("-f", manifest, "--from", "demo/canary")["routes"]

    (target,) = row["action"]["clusters"]
    assert target["backends"] == [
        {"kind": "Service", "namespace": "demo", "name": "blue", "port": 3000, "weight": 90},
        {"kind": "Service", "namespace": "demo", "name": "green", "port": 3000, "weight": 10},
    ]


def test_policies_come_from_attachment_by_precedence(tmp_path: Path) -> None:
    write(tmp_path / "route.yaml", ROUTE)
    write(tmp_path / "gateway.yaml", GATEWAY)
    write(tmp_path / "policies.yaml", POLICIES)

    rows = mapped("-f", str(tmp_path), "--from", "demo/canary")["routes"]

    found = {
        row["gateway"]["listener"]: {(policy["name"], policy["from"]) for policy in row["policies"]}
        for row in rows
    }
    assert found == {
        "http": {("canary", "attachment")},
        "https": {("canary", "attachment"), ("clients", "attachment")},
    }


def test_an_object_that_is_gone_is_told(tmp_path: Path) -> None:
    other = ROUTE.replace("name: canary", "name: elsewhere")

    rows = mapped("-f", write(tmp_path / "route.yaml", other))["routes"]

    gone = {row["source"]["name"]: row["gone"] for row in rows if row["source"]}
    assert gone["canary"] == "there is no HTTPRoute demo/canary"


def test_a_rule_that_is_gone_is_told(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    for route in routes(document):
        route["name"] = route["name"].replace("canary/rule/0", "canary/rule/4")
    dump = write(tmp_path / "dump.json", document)

    rows = mapped("-f", write(tmp_path / "route.yaml", ROUTE), "--from", "demo/canary", dump=dump)

    assert {row["gone"] for row in rows["routes"]} == {"it has no rule 4, only 1"}


def test_a_rule_that_the_control_plane_refused_is_lost_there(tmp_path: Path) -> None:
    status = """\
status:
  parents:
    - controllerName: gateway.envoyproxy.io/gatewayclass-controller
      parentRef: {name: eg}
      conditions:
        - {type: Accepted, status: "False", reason: UnsupportedValue, message: not so}
"""
    refused = ROUTE.replace("name: canary", "name: refused") + status
    write(tmp_path / "gateway.yaml", GATEWAY)

    found = mapped("-f", str(tmp_path), "-f", write(tmp_path / "route.yaml", refused))

    (rule,) = (rule for rule in found["rules"] if rule["name"] == "refused")
    assert rule["lostAt"] == "control plane"
    assert rule["reason"] == "Accepted=False UnsupportedValue: not so"
    table = egops("--config-dump", EG_130, "-f", str(tmp_path)).stdout
    assert "lost at control plane: HTTPRoute/demo/refused/0" in table


def test_an_answer_that_a_filter_asks_for_is_the_filters(tmp_path: Path) -> None:
    asked = """\
      filters:
        - type: ExtensionRef
          extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: teapot}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: HTTPRouteFilter
metadata: {name: teapot, namespace: demo}
spec: {directResponse: {statusCode: 500}}
"""
    document = load("eg-1.3.0")
    for route in routes(document):
        if "canary" in route["name"]:
            del route["route"]
            route["direct_response"] = {"status": 500}
    dump = write(tmp_path / "dump.json", document)

    def answer(manifest: str) -> Any:
        path = write(tmp_path / "route.yaml", manifest)
        return mapped("-f", path, "--from", "demo/canary", dump=dump)["routes"][0]["action"]

    assert answer(ROUTE + asked)["directResponse"]["by"] == "HTTPRouteFilter"
    assert answer(ROUTE)["directResponse"]["by"] == "Envoy Gateway"


# ------------------------------------------------------------------ several proxies


def test_equal_routes_of_replicas_are_one_row(tmp_path: Path) -> None:
    document = load("eg-1.3.0")
    stale = section(document, "Routes")["dynamic_route_configs"][0]["route_config"]
    stale["virtual_hosts"] = stale["virtual_hosts"][:1]
    second = write(tmp_path / "second.json", document)

    rows = mapped("--config-dump", second)["routes"]

    sources = [row for row in rows if row["source"]]
    assert len(sources) == 7
    assert {len(row["proxies"]) for row in sources} == {1, 2}
    table = egops("--config-dump", EG_130, "--config-dump", second).stdout
    assert "2 of 2" in table
