"""EGU-1922 proxy-protocol-keeps-http2."""

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
    code="EGU-1922",
    severity=Severity.INFO,
    optional=(*ROUTES, *KINDS, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no GRPCRoute reaches its backends through PROXY protocol",
)
def proxy_protocol_keeps_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """GRPC behind the PROXY protocol is sent as HTTP/2 again.

    ## Why it matters
    1.6 to 1.8 spoke HTTP/1.1 to such backends. A backend that was changed to bear that has to
    speak HTTP/2 again.

    ## How to fix it
    Let the backends of GRPCRoutes speak HTTP/2.
    """
    if upgrade_of(snapshot).from_version < (1, 6):
        return
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        mine = [found.route for found in used if found.route.kind == GRPC_ROUTE]
        calls = [route for route in mine if serves(joined, route)]
        if section(policy.spec, "proxyProtocol") and calls:
            yield change(
                snapshot,
                policy.at("spec", "proxyProtocol"),
                f"{len(calls)} GRPCRoute(s) speak HTTP/2 to their backends again",
                evidence=tuple(f"route: {route.ref}" for route in calls[:5]),
                today="the cluster has no protocol options: HTTP/1.1",
                after="HTTP/2",
                verify="gRPC calls succeed",
            )
