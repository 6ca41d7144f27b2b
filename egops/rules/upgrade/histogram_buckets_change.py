"""EGU-1916 histogram-buckets-change."""

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

METRIC = "watchable_subscribe_duration_seconds"
GONE = re.compile(r"\ble\s*=~?\s*[\"'](0\.001|0\.01|5|10)[\"']")


@rule(
    code="EGU-1916",
    severity=Severity.WARNING,
    reads=(PROMETHEUS_RULE,),
    since="0.1",
    changed_in=(1, 9, 1),
    link=notes_link((1, 9, 1)),
    ok="no expression names a bucket that is gone",
)
def histogram_buckets_change(snapshot: Snapshot) -> Iterator[Problem]:
    """The buckets of `watchable_subscribe_duration_seconds` have other bounds.

    ## Why it matters
    Expressions on `le="0.001"`, `"0.01"`, `"5"` or `"10"` find nothing.

    ## How to fix it
    Name a bucket that is there, or use `histogram_quantile`.
    """
    upgrade_of(snapshot)
    for found in expressions(snapshot):
        gone = GONE.search(found.promql)
        if METRIC in found.promql and gone:
            yield change(
                snapshot,
                found.at(),
                f"the bucket le={gone.group(1)} of {METRIC} is gone",
                today="the bucket is emitted",
                after="the buckets are 0.005 to 120; 0.1 and 1 are left of the old ones",
                keep=("name a bucket that is there, or use histogram_quantile",),
                verify="the expression gives a result in Prometheus",
            )
