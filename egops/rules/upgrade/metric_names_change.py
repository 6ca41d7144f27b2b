"""EGU-1704 metric-names-change."""

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

METRICS = re.compile(
    r"\benvoy_cluster_\w*(rq_time_count|total_match_count)\b"
    r"|\benvoy_cluster_circuit_breakers_\w+_cx_open\b"
    r"|\benvoy_http_oauth_\w+"
)


@rule(
    code="EGU-1704",
    severity=Severity.WARNING,
    reads=(PROMETHEUS_RULE,),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no alert or recording rule uses a metric that gets another name",
)
def metric_names_change(snapshot: Snapshot) -> Iterator[Problem]:
    """An alert or a recording rule uses a metric whose name or labels change.

    ## Why it matters
    New default stats tags change `envoy_cluster_*_rq_time_count`,
    `envoy_cluster_*_total_match_count` and `envoy_cluster_circuit_breakers_*_cx_open`; OAuth2
    metrics carry the name of their SecurityPolicy. The expression finds nothing and the alert never
    fires.

    ## How to fix it
    Write the expression for both names, and drop the old one after the upgrade. Look through
    dashboards, too.
    """
    upgrade_of(snapshot)
    for found in expressions(snapshot):
        name = METRICS.search(found.promql)
        if name:
            yield change(
                snapshot,
                found.at(),
                f"the metric {name.group()} gets another name or labels",
                today="the expression finds it",
                after="it finds nothing, or series of another meaning",
                keep=("write the expression for both names",),
                verify="the expression gives a result in Prometheus",
                possible="certain if the series come from Envoy Gateway's proxies",
            )
