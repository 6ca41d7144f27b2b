"""How bad, how sure and how folded: what the marked lines of fixtures can't show."""

from __future__ import annotations

from pathlib import Path

from egops.engine import run
from egops.finding import Confidence, Finding, Severity
from egops.rules.registry import all_rules
from egops.snapshot import Snapshot
from tests.rules.snapshots import load_fixture

HERE = Path(__file__).parent


def fixture(path: str) -> Snapshot:
    return load_fixture(HERE / f"{path}.yaml")


def findings(snapshot: Snapshot, *codes: str) -> dict[str, Finding]:
    """Return the findings of these rules by the name of their object."""
    report = run([rule for rule in all_rules() if rule.code in codes], snapshot)
    assert not report.crashed
    return {finding.at.ref.name: finding for finding in report.findings}


def written(folder: Path, text: str) -> Snapshot:
    file = folder / "objects.yaml"
    file.write_text(text, "utf-8")
    return load_fixture(file)


def changed(folder: Path, path: str, old: str, new: str) -> Snapshot:
    """Return the snapshot of a fixture with one text in it replaced."""
    text = (HERE / f"{path}.yaml").read_text("utf-8")
    assert old in text
    return written(folder, text.replace(old, new))


def test_route_that_a_proxy_still_serves_is_a_warning() -> None:
    found = findings(fixture("route/route_not_accepted/still_served"), "EGD-240")

    assert found["served"].severity is Severity.WARNING
    assert "still served" in found["served"].problem.message


def test_refused_route_is_an_error() -> None:
    found = findings(fixture("route/route_not_accepted/refused"), "EGD-240")

    assert found["wrong-host"].severity is Severity.ERROR
    assert any("hostname:" in text for text in found["wrong-host"].problem.evidence)


def test_stale_condition_counts_one_level_less(tmp_path: Path) -> None:
    text = (HERE / "policy/policy_invalid/invalid.yaml").read_text("utf-8")
    text = text.replace("{name: client,", "{name: client, generation: 2,")
    text = text.replace(
        "reason: Invalid, message", "observedGeneration: 1, reason: Invalid, message"
    )

    found = findings(written(tmp_path, text), "EGD-340")

    assert found["client"].severity is Severity.WARNING
    assert found["refused"].severity is Severity.ERROR


def test_rule_without_any_backend_is_worse_than_one_with_some() -> None:
    found = findings(fixture("route/backends_unavailable/empty"), "EGD-242")

    assert found["all-empty"].severity is Severity.ERROR
    assert found["half-empty"].severity is Severity.WARNING


def test_service_that_may_be_empty_is_information(tmp_path: Path) -> None:
    snapshot = changed(
        tmp_path,
        "backend/service_without_endpoints/empty",
        "metadata: {name: empty, namespace: demo}",
        'metadata: {name: empty, namespace: demo, annotations: {egops.dev/may-be-empty: "true"}}',
    )

    found = findings(snapshot, "EGD-300")

    assert found["empty"].severity is Severity.INFO
    assert found["draining"].severity is Severity.ERROR


def test_empty_service_explains_its_routes() -> None:
    snapshot = fixture("route/backends_unavailable/empty")
    codes = {"EGD-300", "EGD-242"}

    report = run([rule for rule in all_rules() if rule.code in codes], snapshot)

    assert {finding.code for finding in report.findings} == {"EGD-300"}
    assert {folded.finding.code for folded in report.folded} == {"EGD-242"}


def test_missing_backend_is_less_sure_in_files(tmp_path: Path) -> None:
    files = "---\napiVersion: test.egops.dev/v1\nkind: Snapshot\nsource: files\n"
    text = (HERE / "route/backend_ref_not_resolved/missing.yaml").read_text("utf-8")

    found = findings(written(tmp_path, text + files), "EGD-241")

    assert found["gone"].problem.confidence is Confidence.MEDIUM
    assert any("may exist in the cluster" in fact for fact in found["gone"].problem.evidence)


def test_needed_grant_is_spelled_out() -> None:
    found = findings(fixture("route/backend_ref_not_resolved/missing"), "EGD-241")

    assert "kind: ReferenceGrant" in found["other-namespace"].problem.remedy[0]


def test_layering_without_loss_is_information() -> None:
    found = findings(fixture("policy/policy_overridden/lossy"), "EGD-342")

    assert found["gateway"].severity is Severity.WARNING
    assert "jwt" in found["gateway"].problem.message
    assert found["layered"].severity is Severity.INFO


def test_known_defect_is_an_error_only_where_it_is_set_off() -> None:
    loud = findings(fixture("install/release_has_known_defect/external_name"), "EGD-106")

    assert loud["shop"].severity is Severity.ERROR
    assert loud["envoy-gateway"].severity is Severity.INFO


def test_credentials_are_never_shown() -> None:
    found = findings(fixture("policy/credentials_rejected/secrets"), "EGD-352")

    told = " ".join(str(finding.problem) for finding in found.values())

    assert found
    assert "{SHA}" not in told.replace("{SHA}…", "").replace("with {SHA} (", "")
    assert "$2y$" not in told


def test_offered_protocols_are_shown() -> None:
    found = findings(fixture("gateway/overlapping_tls_listeners/proxy"), "EGD-215")

    assert any("offers http/1.1" in fact for fact in found["edge"].problem.evidence)
