"""EGU-1627 tls-route-back-with-weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import TLS_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1627",
    severity=Severity.INFO,
    reads=(TLS_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != TLS_ROUTE),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no TLSRoute has a backend of weight 0",
)
def tls_route_back_with_weight(snapshot: Snapshot) -> Iterator[Problem]:
    """A TLSRoute with a backendRef of weight 0 has its cluster again.

    ## Why it matters
    1.5 lost it. From 1.6 on the other backends serve, or none if all weights are 0.

    ## How to fix it
    Nothing is to be done.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(TLS_ROUTE):
        for _, entry in rules_of(attachment.route):
            for ref in rule_backend_refs(entry):
                if ref.entry.body.get("weight") == 0:
                    yield change(
                        snapshot,
                        ref.entry.at("weight"),
                        "the route has its cluster in spite of the weight of 0",
                        today="1.5 leaves the cluster out",
                        after="backends with a weight serve",
                        possible="certain if 1.5 is installed",
                    )
