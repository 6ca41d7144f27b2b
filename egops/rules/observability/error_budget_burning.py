"""EGD-650 error-budget-burning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, GATEWAY
from egops.history import place, rows
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

BY = (
    "namespace, gateway_envoyproxy_io_owning_gateway_namespace, "
    "gateway_envoyproxy_io_owning_gateway_name"
)
ALL = 'envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix=~"https?-.+"}'
BAD = ALL.replace("{", '{envoy_response_code_class="5",')
BUDGET = 0.001  # 99.9 %, the objective that the shipped alerts start from
REQUESTS = 100  # in the hour; fewer say nothing about a rate


def ratio(window: str) -> str:
    """Return the query for the share of 5xx answers in a window, where there is traffic."""
    enough = f"(sum by ({BY}) (increase({ALL}[1h])) > {REQUESTS})"
    share = f"sum by ({BY}) (rate({BAD}[{window}])) / (sum by ({BY}) (rate({ALL}[{window}])) > 0)"
    return f"({share}) and {enough}"


NOW, HOUR, QUARTER = ratio("5m"), ratio("1h"), ratio("6h")


@rule(
    code="EGD-650",
    severity=Severity.ERROR,
    optional=(GATEWAY, DEPLOYMENT),
    probes=(Probe.PROMETHEUS,),
    queries=(NOW, HOUR, QUARTER),
    since="0.1",
    ok="no Gateway spends its error budget too fast",
)
def error_budget_burning(snapshot: Snapshot) -> Iterator[Problem]:
    """Users get so many 5xx answers that the error budget will not last.

    ## Why it matters
    At 14.4 times the pace that 99.9 % allows, a month's budget is gone in two days; at 6 times, in
    five. The last hour and the last five minutes must agree, so that an incident that is over does
    not alarm.

    ## How to fix it
    `egops doctor --only traffic,backend,xds` tells which routes and backends answer so. The alerts
    EnvoyProxyErrorBudgetBurnFast and …Slow watch the same, with an objective of your own.
    """
    now = {str(sorted(row.labels.items())): row.value for row in rows(snapshot, NOW)}
    slow = {str(sorted(row.labels.items())): row.value for row in rows(snapshot, QUARTER)}
    for row in rows(snapshot, HOUR):
        key = str(sorted(row.labels.items()))
        fast = row.value > 14.4 * BUDGET and now.get(key, 0.0) > 14.4 * BUDGET
        steady = slow.get(key, 0.0) > 6 * BUDGET and now.get(key, 0.0) > 6 * BUDGET
        if not (fast or steady):
            continue
        yield Problem(
            place(snapshot, row),
            f"{row.value:.1%} of the requests of the last hour were answered with a 5xx",
            evidence=(
                f"last 5 minutes {now.get(key, 0.0):.1%}, last 6 hours {slow.get(key, 0.0):.1%}",
                f"the budget of 99.9 % allows {BUDGET:.1%}",
            ),
            remedy=("see which routes fail: egops doctor --only traffic,backend,xds",),
            severity=None if fast else Severity.WARNING,
        )
