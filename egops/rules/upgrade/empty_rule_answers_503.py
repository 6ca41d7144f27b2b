"""EGU-1607 empty-rule-answers-503."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import PROMETHEUS_RULE
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.expressions import expressions
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

ONLY_500 = re.compile(r"response_code\s*=~?\s*[\"'][^\"']*\b500\b|_rq_500\b")


@rule(
    code="EGU-1607",
    severity=Severity.INFO,
    reads=(PROMETHEUS_RULE,),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no alert looks for the status 500 alone",
)
def empty_rule_answers_503(snapshot: Snapshot) -> Iterator[Problem]:
    """Rules without a ready endpoint answer 503 instead of 500.

    ## Why it matters
    Alerts and clients that look for the status 500 miss backends that are down.

    ## How to fix it
    Look for 503 as well, or for the class of 5xx.
    """
    upgrade_of(snapshot)
    for found in expressions(snapshot):
        if ONLY_500.search(found.promql) and "503" not in found.promql:
            yield change(
                snapshot,
                found.at(),
                "the expression looks for 500 and misses rules without a ready endpoint",
                today="a rule without a ready endpoint answers 500",
                after="it answers 503",
                keep=("look for 503 as well",),
                verify="the expression with a backend scaled to zero",
                possible="certain if the alert is meant for backends that are down",
            )
