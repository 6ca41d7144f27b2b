"""What rules ask of a Prometheus is PromQL, and an unanswered query is a skip."""

from __future__ import annotations

from dataclasses import replace

import promql_parser
import pytest

from egops.engine import run
from egops.gather import Wanted
from egops.rules import Rule
from egops.rules.registry import doctor_rules
from egops.snapshot import Probe
from tests.making import resource, snapshot

ASKING = [rule for rule in doctor_rules() if rule.queries]


@pytest.mark.parametrize("rule", ASKING, ids=[rule.code for rule in ASKING])
def test_every_query_parses_and_is_asked_for(rule: Rule) -> None:
    for query in rule.queries:
        promql_parser.parse(query)

    assert Wanted.by(ASKING).queries >= set(rule.queries)
    assert Probe.PROMETHEUS in Wanted.by([rule]).probes


def test_without_a_prometheus_the_checks_of_history_are_skipped() -> None:
    report = run(ASKING, snapshot(resource(), unprobed={Probe.PROMETHEUS: "none was found"}))

    assert {skip.reason for skip in report.skipped} == {"none was found"}
    assert len(report.skipped) == len(ASKING)


def test_a_query_that_was_not_answered_is_a_skip() -> None:
    report = run(ASKING, replace(snapshot(resource()), prometheus={}))

    assert {skip.code for skip in report.skipped} == {rule.code for rule in ASKING}
    assert not report.ok
