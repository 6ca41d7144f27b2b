"""EGU-1623 authorization-reaches-streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY, TCP_ROUTE, TLS_ROUTE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1623",
    severity=Severity.WARNING,
    optional=(*ROUTES, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no authorization of a Gateway meets a TCPRoute or TLSRoute",
)
def authorization_reaches_streams(snapshot: Snapshot) -> Iterator[Problem]:
    """A SecurityPolicy's authorization also counts for TCP and TLS traffic.

    ## Why it matters
    Up to 1.5 only HTTP routes were judged. From 1.6 on the client's address is judged for
    TCPRoutes and TLSRoutes of the Gateway as well: connections can be refused that were served.

    ## How to fix it
    Allow the addresses of the stream clients too, or give the policy to the HTTP routes alone.
    """
    upgrade_of(snapshot)
    for policy, used in world(snapshot).in_use(SECURITY_POLICY):
        streams = [found.route for found in used if found.route.kind in (TCP_ROUTE, TLS_ROUTE)]
        if not section(policy.spec, "authorization") or not streams:
            continue
        yield change(
            snapshot,
            policy.at("spec", "authorization"),
            f"the authorization counts for {len(streams)} TCP or TLS route(s)",
            evidence=tuple(f"route: {route.ref}" for route in streams[:5]),
            today="connections of these routes are not judged",
            after="connections that the rules do not allow are closed",
            keep=("allow their clients, or target the HTTP routes instead of the Gateway",),
            verify="clients of the TCP and TLS routes can connect",
        )
