"""EGU-1433 retry-on-503-gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import entries, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1433",
    severity=Severity.WARNING,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no policy says when to retry without naming statuses",
)
def retry_on_503_gone(snapshot: Snapshot) -> Iterator[Problem]:
    """Answers with status 503 are not repeated unless the policy says so.

    ## Why it matters
    Envoy Gateway added the status 503 to every retry policy. From 1.4 on it does so only where
    `retry.retryOn` is not set.

    ## How to fix it
    Add `httpStatusCodes: [503]` and the trigger `retriable-status-codes` to keep it.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        when = section(policy.spec, "retry", "retryOn")
        if not when or entries(when, "httpStatusCodes") or (joined.is_whole and not used):
            continue
        yield change(
            snapshot,
            policy.at("spec", "retry", "retryOn"),
            "answers with status 503 are not repeated any more",
            today="503 is added to what is repeated",
            after="only the triggers that are written count",
            keep=("add httpStatusCodes: [503] and the trigger retriable-status-codes",),
            verify="retriable_status_codes of the route in /config_dump",
        )
