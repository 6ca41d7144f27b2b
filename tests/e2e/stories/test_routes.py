"""`egops routes` on a live cluster: every route has an owner, and what is told is what happens."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import kube
from tests.e2e.harness.command import egops
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

KINDS = "gatewayclasses,envoyproxies,gateways,httproutes,grpcroutes,referencegrants,services"
POLICIES = "securitypolicies,backendtrafficpolicies,clienttrafficpolicies,httproutefilters"
REQUESTS = (
    ("https://www.demo.test/", "--proto", "h2"),
    ("https://canary.demo.test/apix",),
    ("http://moved.demo.test/x",),
    ("http://www.demo.test/a%2Fb", "-H", "x_y: 1"),
    ("https://elsewhere.example/",),
)


def objects(folder: Path) -> str:
    """Write the objects that decide about routes as manifests; return the file."""
    found = kube.kubectl("get", f"{KINDS},{POLICIES}", "-A", "-o", "json")
    path = folder / "objects.json"
    path.write_text(found, "utf-8")
    return str(path)


def test_map_finds_an_owner_for_every_route(eg: EnvoyGateway, story: Story) -> None:
    run = egops("routes", "map")

    rows = run.report["routes"]
    assert run.exit_code == 0, run.told()
    assert {row["source"]["name"] for row in rows if row["source"]} >= {"plain", "moved", "canary"}
    ownerless = [row for row in rows if not row["source"] and not row.get("own")]
    assert ownerless == [], run.told()
    assert all(rule["lostAt"] == "" for rule in run.report["rules"]), run.told()
    story.note(f"{len(rows)} routes of {eg.version}, each with its owner")


@pytest.mark.parametrize("words", REQUESTS, ids=" ".join)
def test_proxy_does_what_explain_says(
    eg: EnvoyGateway, story: Story, words: tuple[str, ...]
) -> None:
    run = egops("routes", "explain", *words, "--send", "--brief")

    assert run.exit_code == 0, run.told()
    told = run.report["results"][0]
    assert told["outcome"] != "unknown", run.told()
    assert told["sent"]["agrees"], told["sent"]["text"]
    story.note(f"{told['outcome']} {told['status']}: {told['sent']['text']}")


def test_recorded_expectations_hold_live_and_for_the_manifests(
    eg: EnvoyGateway, story: Story, tmp_path: Path
) -> None:
    file = str(tmp_path / "routes.yaml")

    recorded = egops("routes", "test", file, "--record", as_json=False)
    live = egops("routes", "test", file)
    manifests = egops("routes", "test", file, "-f", objects(tmp_path), "--release", eg.version)

    assert recorded.exit_code == 0, recorded.told()
    assert live.exit_code == 0, live.told()
    assert live.report["passed"] >= 5, live.told()
    assert manifests.exit_code == 0, manifests.told()
    assert manifests.report["passed"] == live.report["passed"], manifests.told()
    story.note(f"{live.report['passed']} requests, live and from manifests")


def test_shadowed_says_the_same_of_envoy_and_of_manifests(
    eg: EnvoyGateway, story: Story, tmp_path: Path
) -> None:
    found = [
        egops("routes", "shadowed", "--all", "--fail-on", "never", *words)
        for words in ((), ("-f", objects(tmp_path), "--release", eg.version))
    ]

    live, manifests = (pairs(run.report["shadowed"]) for run in found)
    assert all(run.exit_code == 0 for run in found), found[0].told()
    assert live == manifests, json.dumps([sorted(live), sorted(manifests)])
    story.note(f"{len(live)} pairs of routes compete, live and in the manifests")


def pairs(rows: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return kind, loser and winner of each row."""
    return {(row["kind"], row["route"], (row["winner"] or {}).get("route", "")) for row in rows}
