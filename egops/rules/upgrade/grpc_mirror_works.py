"""EGU-1527 grpc-mirror-works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, mirror_refs
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1527",
    severity=Severity.INFO,
    reads=(GRPC_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != GRPC_ROUTE),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no GRPCRoute mirrors",
)
def grpc_mirror_works(snapshot: Snapshot) -> Iterator[Problem]:
    """A mirror of a GRPCRoute works instead of panicking the translation.

    ## Why it matters
    Up to 1.4 a good mirror panics the controller's translation: no Gateway gets updates. All
    that was changed meanwhile takes effect with the upgrade.

    ## How to fix it
    Look at what was changed since the route got its mirror.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(GRPC_ROUTE):
        for ref in mirror_refs(attachment.route):
            yield change(
                snapshot,
                ref.entry.at(),
                "the mirror works, and the Gateways are updated again",
                today="the translation panics over a mirror that can be resolved",
                after="calls are mirrored",
                verify="watchable_panics_recovered_total stays 0",
            )
