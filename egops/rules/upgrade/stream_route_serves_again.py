"""EGU-1421 stream-route-serves-again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import TCP_ROUTE
from egops.rules import rule
from egops.upgrade.backends import KINDS, served_in_spite
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1421",
    severity=Severity.WARNING,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no TCPRoute has both good and bad backends",
)
def stream_route_serves_again(snapshot: Snapshot) -> Iterator[Problem]:
    """A TCPRoute that 1.3 left out for one bad backend serves its good ones again.

    ## Why it matters
    1.3 did not program such a route: connections were closed. From 1.4 on the good
    backends get the traffic, which may surprise whoever had given the route up.

    ## How to fix it
    Remove the route if it is not meant to serve, or repair the backendRef.
    """
    if upgrade_of(snapshot).from_version < (1, 3):
        return  # 1.2 served the good ones as well
    for ref, fault in served_in_spite(world(snapshot), TCP_ROUTE):
        yield change(
            snapshot,
            ref.entry.at(),
            f"the route serves its good backends again in spite of {ref}",
            evidence=(f"bad: {fault.reason}",),
            today="the route is not programmed",
            after="the backends that can be used get the traffic",
            keep=("remove the route if it is not meant to serve",),
            verify="connections to the listener reach the good backends",
            possible=fault.possible,
        )
