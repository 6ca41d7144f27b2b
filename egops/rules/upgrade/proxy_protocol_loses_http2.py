"""EGU-1624 proxy-protocol-loses-http2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, GRPC_ROUTE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.backends import KINDS, serves
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1624",
    severity=Severity.ERROR,
    optional=(*ROUTES, *KINDS, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 6, 0),
    fixed_in=(1, 9, 0),
    link=notes_link((1, 6, 0)),
    ok="no GRPCRoute reaches its backends through PROXY protocol",
)
def proxy_protocol_loses_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """GRPC behind the PROXY protocol is sent as HTTP/1.1.

    ## Why it matters
    From 1.6 to 1.8 a cluster with `proxyProtocol` loses its HTTP protocol options: a
    GRPCRoute's backends are spoken to in HTTP/1.1, and calls fail.

    ## How to fix it
    Go to 1.9, or take `proxyProtocol` off the policy of GRPCRoutes.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        mine = [found.route for found in used if found.route.kind == GRPC_ROUTE]
        calls = [route for route in mine if serves(joined, route)]
        if section(policy.spec, "proxyProtocol") and calls:
            yield change(
                snapshot,
                policy.at("spec", "proxyProtocol"),
                f"{len(calls)} GRPCRoute(s) speak HTTP/1.1 to their backends",
                evidence=tuple(f"route: {route.ref}" for route in calls[:5]),
                today="backends are spoken to in HTTP/2",
                after="the cluster has no protocol options: HTTP/1.1",
                keep=("go to 1.9, or remove proxyProtocol for GRPCRoutes",),
                verify="gRPC calls succeed",
            )
