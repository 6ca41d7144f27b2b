"""Every way to fail, as a real Envoy logged it, is found by its rule and by no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from egops.engine import run
from egops.rules.registry import doctor_rules
from egops.snapshot import Probe, Proxy, Snapshot, Source, SourceType
from tests.rules.snapshots import FIXTURES, NOW

LOG = (Path(FIXTURES) / "envoy/traffic/access.log").read_bytes()
NAMES = {
    "EGD-500": "www.demo.test",
    "EGD-501": "httproute/demo/broken/rule/0/match/0/www_demo_test",
    "EGD-502": "httproute/demo/idle/rule/0/match/0/www_demo_test",
    "EGD-503": "httproute/demo/refused/rule/0/match/0/www_demo_test",
    "EGD-505": "httproute/demo/empty/rule/0/match/0/www_demo_test",
    "EGD-506": "httproute/demo/crowded/rule/0",
    "EGD-507": "httproute/demo/slow/rule/0/match/0/www_demo_test",
    "EGD-520": "httproute/demo/lost/rule/0/match/0/www_demo_test",
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    proxy = Proxy("http://127.0.0.1:19000", None, {Probe.PROXY_LOG: LOG})
    snapshot = Snapshot(taken_at=NOW, source=Source(SourceType.ENVOY), proxies=(proxy,))
    report = run([rule for rule in doctor_rules() if rule.area == "traffic"], snapshot)
    sections: dict[str, list[str]] = {}
    for finding in report.findings:
        sections.setdefault(finding.code, []).append(finding.at.section)
    return sections


@pytest.mark.parametrize(("code", "name"), sorted(NAMES.items()))
def test_failure_is_found_once_and_by_its_name(
    code: str, name: str, found: dict[str, list[str]]
) -> None:
    assert found[code] == [name]


def test_both_tls_failures_are_found(found: dict[str, list[str]]) -> None:
    assert sorted(name.split("/")[2] for name in found["EGD-504"]) == ["plain", "stranger"]


def test_good_requests_are_no_findings(found: dict[str, list[str]]) -> None:
    assert "good" not in str(found)
    assert set(found) == {*NAMES, "EGD-504"}
