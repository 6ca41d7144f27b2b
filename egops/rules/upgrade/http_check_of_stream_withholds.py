"""EGU-1435 http-check-of-stream-withholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, TCP_ROUTE, TLS_ROUTE
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, aims_at, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1435",
    severity=Severity.ERROR,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 4, 0),
    fixed_in=(1, 8, 0),
    link=notes_link((1, 4, 0)),
    ok="no HTTP health check counts for a TCPRoute or TLSRoute",
)
def http_check_of_stream_withholds(snapshot: Snapshot) -> Iterator[Problem]:
    """An active HTTP health check on a TCPRoute or TLSRoute stops all updates of its Gateway.

    ## Why it matters
    From 1.4 to 1.7 such a check does not validate and nothing is published for the Gateway:
    proxies keep their last state, and new ones get nothing.

    ## How to fix it
    Give the policy to the HTTP routes, or check with `type: TCP`.
    """
    upgrade_of(snapshot)
    for policy, used in world(snapshot).in_use(BACKEND_TRAFFIC_POLICY):
        streams = [
            found.route
            for found in used
            # a policy that names the route itself does so in every release
            if found.route.kind in (TCP_ROUTE, TLS_ROUTE) and not aims_at(policy, found.route)
        ]
        if text(policy.spec, "healthCheck", "active", "type") != "HTTP" or not streams:
            continue
        yield change(
            snapshot,
            policy.at("spec", "healthCheck", "active", "type"),
            f"the check of {len(streams)} TCP or TLS route(s) stops every update of the Gateway",
            evidence=tuple(f"route: {route.ref}" for route in streams[:5]),
            today="the check is made without a host",
            after="the configuration does not validate: nothing is published",
            keep=("target the HTTP routes instead of the Gateway, or use type: TCP",),
            verify="update_success of lds and cds still counts on the proxies",
        )
