"""EGU-1526 datagram-route-serves-again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import UDP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1526",
    severity=Severity.WARNING,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no UDPRoute has both good and bad backends",
)
def datagram_route_serves_again(snapshot: Snapshot) -> Iterator[Problem]:
    """A UDPRoute that was left out for one bad backend serves its good ones again.

    ## Why it matters
    1.3 and 1.4 did not serve such a route. From 1.5 on the good backends get the packets.

    ## How to fix it
    Remove the route if it is not meant to serve, or repair the backendRef.
    """
    if upgrade_of(snapshot).from_version < (1, 3):
        return  # 1.2 served the good ones as well
    joined = world(snapshot)
    for attachment in joined.routes(UDP_ROUTE):
        for _, entry in rules_of(attachment.route):
            refs = [(r, fault_of(joined, r, attachment.route)) for r in rule_backend_refs(entry)]
            bad = [(ref, fault) for ref, fault in refs if isinstance(fault, Fault)]
            if not bad or all(fault is not None for _, fault in refs):
                continue
            yield change(
                snapshot,
                bad[0][0].entry.at(),
                f"the route serves its good backends again in spite of {bad[0][0]}",
                evidence=(f"bad: {bad[0][1].reason}",),
                today="the route is not served",
                after="the backends that can be used get the packets",
                keep=("remove the route if it is not meant to serve",),
                verify="packets reach the good backends",
                possible=bad[0][1].possible,
            )
