"""EGU-1825 retry-gets-a-timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE, rules_of
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1825",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != HTTP_ROUTE),
    since="0.1",
    changed_in=(1, 8, 2),
    link=notes_link((1, 8, 2)),
    ok="no rule repeats requests with a backend timeout and without back-off",
)
def retry_gets_a_timeout(snapshot: Snapshot) -> Iterator[Problem]:
    """Each try of a repeated request has the rule's `backendRequest` timeout.

    ## Why it matters
    Up to 1.8.1 the timeout of a single try was lost where the rule's `retry` had no `backoff`.
    Now a slow try is cut off and repeated: backends see more requests.

    ## How to fix it
    Raise `timeouts.backendRequest`, or remove it.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(HTTP_ROUTE):
        for index, entry in rules_of(attachment.route):
            retry = section(entry.body, "retry")
            limit = text(entry.body, "timeouts", "backendRequest")
            if retry and "backoff" not in retry and limit:
                yield change(
                    snapshot,
                    entry.at("timeouts", "backendRequest", section=f"rule {index}"),
                    f"each try is cut off after {limit} and repeated",
                    today="a try lasts as long as the request may",
                    after=f"per_try_timeout is {limit}",
                    keep=("raise or remove timeouts.backendRequest",),
                    verify="upstream_rq_per_try_timeout of the cluster",
                )
