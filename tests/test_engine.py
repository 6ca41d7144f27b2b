"""What the engine makes of what rules say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from egops.engine import Options, run
from egops.errors import ExitCode
from egops.finding import CannotJudge, Problem, Severity, Unjudged
from egops.gatewayapi import DEPLOYMENT, GATEWAY, HTTP_ROUTE
from egops.render import Terminal, renderer
from egops.snapshot import Probe, Snapshot, Source, SourceType
from tests.making import a_rule, finds, resource, snapshot

GATE = resource()
PROBLEM = Problem(GATE.at("spec"), "something is wrong")


def test_a_silent_rule_proves_its_sentence() -> None:
    report = run([a_rule("EGD-200", finds())], snapshot(GATE))

    assert report.ok == (("EGD-200", "EGD-200 holds"),)
    assert report.exit_code(Severity.ERROR) == ExitCode.OK


def test_a_problem_becomes_a_finding_no_worse_than_its_rule() -> None:
    mild = Problem(GATE.at(), "mild", severity=Severity.INFO)
    harsh = Problem(GATE.at("status"), "harsh", severity=Severity.ERROR)
    rule = a_rule("EGD-200", finds(mild, harsh), severity=Severity.WARNING)

    report = run([rule], snapshot(GATE))

    assert [(f.problem.message, f.severity) for f in report.findings] == [
        ("harsh", Severity.WARNING),
        ("mild", Severity.INFO),
    ]


def test_a_kind_that_could_not_be_read_skips_the_rule_with_the_reason() -> None:
    blind = snapshot(GATE, unread={GATEWAY: "forbidden: list gateways"})

    report = run([a_rule("EGD-200", finds(PROBLEM))], blind)

    assert [(skip.code, skip.reason) for skip in report.skipped] == [
        ("EGD-200", "gateways: forbidden: list gateways")
    ]
    assert not report.findings
    assert not report.ok
    assert report.exit_code(Severity.ERROR) == ExitCode.CANNOT_JUDGE


def test_an_optional_kind_that_could_not_be_read_is_a_skip_beside_the_findings() -> None:
    rule = a_rule("EGD-200", finds(PROBLEM), optional=(HTTP_ROUTE,))

    report = run([rule], snapshot(GATE, unread={HTTP_ROUTE: "timed out"}))

    assert len(report.findings) == 1
    assert report.skipped[0].reason == "httproutes not judged: timed out"


def test_a_half_blind_silent_rule_is_not_ok() -> None:
    rule = a_rule("EGD-200", finds(), optional=(HTTP_ROUTE,))

    report = run([rule], snapshot(GATE, unread={HTTP_ROUTE: "timed out"}))

    assert report.ok == ()


@pytest.mark.parametrize(
    ("probe", "reason"),
    [(Probe.CONFIG_DUMP, "no Envoy was asked"), (Probe.METRICS, "no Envoy Gateway pod was asked")],
)
def test_a_probe_that_nobody_answered_skips_the_rule(probe: Probe, reason: str) -> None:
    report = run([a_rule("EGD-440", finds(PROBLEM), probes=(probe,))], snapshot(GATE))

    assert [skip.reason for skip in report.skipped] == [reason]


def test_a_probe_that_was_not_made_skips_the_rule_with_the_reason() -> None:
    rule = a_rule("EGD-440", finds(PROBLEM), probes=(Probe.STATS_AGAIN,))

    report = run([rule], snapshot(GATE, unprobed={Probe.STATS_AGAIN: "--window 0"}))

    assert report.skipped[0].reason == "--window 0"


def test_files_without_a_kind_skip_the_rules_that_need_it() -> None:
    files = snapshot(GATE, source=Source(SourceType.FILES))

    report = run([a_rule("EGD-240", finds(), reads=(HTTP_ROUTE,))], files)

    assert report.skipped[0].reason == "no HTTPRoute in the input"


def test_a_rule_that_can_not_judge_and_a_part_that_can_not_be_judged_are_skips() -> None:
    def refuses(_: Snapshot) -> Iterator[Problem]:
        yield from ()
        raise CannotJudge("nothing to look at")

    rules = [a_rule("EGD-200", refuses), a_rule("EGD-201", finds(Unjudged("pod a: dead"), PROBLEM))]

    report = run(rules, snapshot(GATE))

    assert [(skip.code, skip.reason) for skip in report.skipped] == [
        ("EGD-200", "nothing to look at"),
        ("EGD-201", "pod a: dead"),
    ]
    assert [finding.code for finding in report.findings] == ["EGD-201"]


def test_a_crashing_rule_hides_nothing_and_is_a_bug() -> None:
    def breaks(_: Snapshot) -> Iterator[Problem]:
        yield PROBLEM
        raise KeyError("x")

    report = run([a_rule("EGD-200", breaks), a_rule("EGD-201", finds(PROBLEM))], snapshot(GATE))

    assert [finding.code for finding in report.findings] == ["EGD-201"]
    assert [(crash.code, crash.error) for crash in report.crashed] == [("EGD-200", "KeyError: 'x'")]
    assert report.exit_code(Severity.ERROR) == ExitCode.BUG


def deployment(tag: str) -> object:
    container = {"name": "envoy-gateway", "image": f"docker.io/envoyproxy/gateway:{tag}"}
    return resource(
        DEPLOYMENT,
        "envoy-gateway",
        metadata={"labels": {"control-plane": "envoy-gateway"}},
        spec={"template": {"spec": {"containers": [container]}}},
    )


@pytest.mark.parametrize(
    ("tag", "judged"), [("v1.3.0", False), ("v1.6.2", True), ("v1.9.0", False), ("latest", True)]
)
def test_a_rule_judges_only_the_releases_it_knows(tag: str, judged: bool) -> None:
    rule = a_rule("EGD-242", finds(PROBLEM), versions=((1, 6), (1, 8)))

    report = run([rule], snapshot(GATE, deployment(tag)))  # type: ignore[arg-type]

    assert bool(report.findings) is judged


def test_what_has_not_settled_is_told_only_when_strict() -> None:
    rule = a_rule("EGD-200", finds(Problem(GATE.at(), "young", settled=False)))

    assert run([rule], snapshot(GATE)).findings == ()
    assert len(run([rule], snapshot(GATE, strict=True)).findings) == 1


def test_an_explained_finding_is_folded_under_its_topmost_root() -> None:
    route = resource(HTTP_ROUTE, "cart")
    top = Problem(GATE.at(), "root", explains=("EGD-201",))
    middle = Problem(GATE.at("spec"), "middle", explains=("EGD-240",))
    leaf = Problem(route.at(), "leaf")
    rules = [
        a_rule("EGD-200", finds(top)),
        a_rule("EGD-201", finds(middle)),
        a_rule("EGD-240", finds(leaf)),
    ]

    report = run(rules, snapshot(GATE, route))

    assert [finding.code for finding in report.findings] == ["EGD-200"]
    assert [(fold.finding.code, fold.root.code) for fold in report.folded] == [
        ("EGD-201", "EGD-200"),
        ("EGD-240", "EGD-200"),
    ]


def test_a_root_explains_only_the_objects_it_names() -> None:
    one, two = resource(HTTP_ROUTE, "one"), resource(HTTP_ROUTE, "two")
    root = Problem(GATE.at(), "root", explains=("EGD-240",), explains_refs=(str(one.ref),))
    rules = [
        a_rule("EGD-200", finds(root)),
        a_rule("EGD-240", finds(Problem(one.at(), "a"), Problem(two.at(), "b"))),
    ]

    report = run(rules, snapshot(GATE, one, two))

    assert [str(finding.at.ref) for finding in report.findings] == [
        "Gateway edge/public",
        "HTTPRoute edge/two",
    ]


def test_a_mild_root_does_not_hide_a_worse_finding() -> None:
    mild = Problem(GATE.at(), "mild", severity=Severity.INFO, explains=("EGD-201",))
    rules = [a_rule("EGD-200", finds(mild)), a_rule("EGD-201", finds(PROBLEM))]

    assert len(run(rules, snapshot(GATE)).findings) == 2


def test_findings_that_explain_each_other_stay() -> None:
    one = Problem(GATE.at(), "a", explains=("EGD-201",))
    two = Problem(GATE.at(), "b", explains=("EGD-200",))
    rules = [a_rule("EGD-200", finds(one)), a_rule("EGD-201", finds(two))]

    assert len(run(rules, snapshot(GATE)).findings) == 2


def test_folded_findings_still_fail() -> None:
    root = Problem(GATE.at(), "root", explains=("EGD-201",))
    rules = [a_rule("EGD-200", finds(root)), a_rule("EGD-201", finds(PROBLEM))]

    assert run(rules, snapshot(GATE)).exit_code(Severity.ERROR) == ExitCode.FINDINGS


def test_a_baseline_accepts_what_was_known() -> None:
    rule = a_rule("EGD-200", finds(PROBLEM))
    known = run([rule], snapshot(GATE)).findings[0].fingerprint

    report = run([rule], snapshot(GATE), Options(baseline=frozenset({known})))

    assert report.findings == ()
    assert report.suppressed[0].reason == "known before"
    assert report.exit_code(Severity.ERROR) == ExitCode.OK


def test_fingerprints_name_the_place_not_the_words() -> None:
    rule, other = a_rule("EGD-200", finds(PROBLEM)), a_rule("EGD-201", finds(PROBLEM))
    reworded = a_rule("EGD-200", finds(Problem(GATE.at("spec"), "said otherwise")))

    one, two, three = (run([r], snapshot(GATE)).findings[0] for r in (rule, other, reworded))

    assert one.fingerprint == three.fingerprint != two.fingerprint


def test_milder_findings_than_asked_for_are_left_out() -> None:
    rule = a_rule("EGD-200", finds(PROBLEM), severity=Severity.INFO)

    report = run([rule], snapshot(GATE), Options(min_severity=Severity.WARNING))

    assert report.findings == ()


def test_two_runs_over_one_snapshot_are_equal_byte_for_byte() -> None:
    rules = [a_rule(f"EGD-2{n:02}", finds(PROBLEM)) for n in (3, 1, 2)]
    picture = snapshot(GATE)

    first, second = (renderer("json")(run(rules, picture), Terminal()) for _ in range(2))

    assert first == second


def test_fail_on_never_only_reports() -> None:
    report = run([a_rule("EGD-200", finds(PROBLEM))], snapshot(GATE))

    assert report.exit_code(None) == ExitCode.OK
