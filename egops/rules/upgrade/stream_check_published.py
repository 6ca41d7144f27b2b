"""EGU-1827 stream-check-published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, TCP_ROUTE, TLS_ROUTE
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1827",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no HTTP health check counts for a TCPRoute or TLSRoute",
)
def stream_check_published(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway whose TCP or TLS routes have an HTTP health check is updated again.

    ## Why it matters
    From 1.4 to 1.7 nothing was published for it. All that was changed meanwhile takes effect
    with the upgrade.

    ## How to fix it
    Look at what was changed since the check was added.
    """
    upgrade_of(snapshot)
    for policy, used in world(snapshot).in_use(BACKEND_TRAFFIC_POLICY):
        streams = [found.route for found in used if found.route.kind in (TCP_ROUTE, TLS_ROUTE)]
        if text(policy.spec, "healthCheck", "active", "type") == "HTTP" and streams:
            yield change(
                snapshot,
                policy.at("spec", "healthCheck", "active", "type"),
                "the Gateway gets updates again",
                today="nothing is published for it",
                after="all that was changed meanwhile takes effect",
            )
