"""Rules judge an Envoy that has no pod, no Gateway and no control plane in the snapshot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from egops.engine import run
from egops.finding import Severity
from egops.rules.registry import doctor_rules
from egops.snapshot import Probe, Proxy, Snapshot, Source, SourceType
from tests.rules.snapshots import FIXTURES, NOW

FILES = {
    Probe.CONFIG_DUMP: "config_dump.json",
    Probe.STATS: "stats.json",
    Probe.STATS_AGAIN: "stats_again.json",
    Probe.CLUSTERS: "clusters.json",
    Probe.CERTS: "certs.json",
    Probe.SERVER_INFO: "server_info.json",
    Probe.READY: "ready.txt",
}
LATER = NOW.replace(hour=14)


def envoy(case: str) -> Snapshot:
    folder = Path(FIXTURES) / "envoy" / case
    documents = {
        probe: (folder / name).read_bytes()
        for probe, name in FILES.items()
        if (folder / name).is_file()
    }
    return Snapshot(
        taken_at=LATER,
        source=Source(SourceType.ENVOY),
        proxies=(Proxy("http://127.0.0.1:19000", None, documents),),
        window_seconds=10.0,
    )


@pytest.mark.parametrize(
    ("case", "codes"),
    [
        ("healthy", set()),
        ("refused-new-listener", {"EGD-441"}),
        ("refused-new-secret", {"EGD-405"}),
        ("refused-updates", {"EGD-441", "EGD-405"}),
        ("warming", {"EGD-442", "EGD-443"}),
        ("without-xds", {"EGD-440", "EGD-453"}),
        ("draining", {"EGD-453"}),
    ],
)
def test_recorded_envoy_is_judged_and_pointed_to(case: str, codes: set[str]) -> None:
    report = run(doctor_rules(), envoy(case))

    everything = [*report.findings, *(folded.finding for folded in report.folded)]
    assert {finding.code for finding in everything} == codes
    assert not report.crashed
    assert {str(finding.at.ref) for finding in everything} <= {"Envoy http://127.0.0.1:19000"}


@pytest.mark.parametrize("code", ["EGD-445", "EGD-446", "EGD-448", "EGD-454", "EGD-309", "EGD-406"])
def test_what_needs_objects_is_skipped_and_never_passed(code: str) -> None:
    report = run(doctor_rules(), envoy("healthy"))

    assert code in {skip.code for skip in report.skipped}
    assert code not in {passed for passed, _ in report.ok}


def test_saved_dump_is_no_unreachable_proxy() -> None:
    live = envoy("healthy").proxies[0]
    failures: dict[Probe, str] = {
        probe: "a saved config dump" for probe in FILES if probe is not Probe.CONFIG_DUMP
    }
    documents = {Probe.CONFIG_DUMP: live.documents[Probe.CONFIG_DUMP]}
    snapshot = replace(envoy("healthy"), proxies=(Proxy("dump.json", None, documents, failures),))

    report = run(doctor_rules(), snapshot)

    assert report.findings == ()
    assert "EGD-459" in {skip.code for skip in report.skipped}


def test_old_counters_are_information_and_never_an_alarm() -> None:
    still = (Path(FIXTURES) / "envoy/refused-updates/stats_again.json").read_bytes()
    documents = {
        **envoy("healthy").proxies[0].documents,
        Probe.STATS: still,
        Probe.STATS_AGAIN: still,
    }
    snapshot = replace(envoy("healthy"), proxies=(Proxy("http://x", None, documents),))

    report = run(doctor_rules(), snapshot)

    assert {finding.code for finding in report.findings} == {"EGD-441", "EGD-405"}
    assert {finding.severity for finding in report.findings} == {Severity.INFO}


def test_certificates_of_a_saved_dump_are_judged() -> None:
    dump = {Probe.CONFIG_DUMP: envoy("healthy").proxies[0].documents[Probe.CONFIG_DUMP]}
    late = replace(
        envoy("healthy"),
        proxies=(Proxy("dump.json", None, dump),),
        taken_at=LATER.replace(year=2037),
    )

    report = run([rule for rule in doctor_rules() if rule.code == "EGD-402"], late)

    assert [finding.severity for finding in report.findings] == [Severity.ERROR]
    assert "*.demo.test" in report.findings[0].problem.message
