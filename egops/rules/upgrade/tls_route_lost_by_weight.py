"""EGU-1528 tls-route-lost-by-weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import TLS_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1528",
    severity=Severity.ERROR,
    reads=(TLS_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != TLS_ROUTE),
    since="0.1",
    changed_in=(1, 5, 0),
    fixed_in=(1, 6, 0),
    link=notes_link((1, 5, 0)),
    ok="no TLSRoute has a backend of weight 0",
)
def tls_route_lost_by_weight(snapshot: Snapshot) -> Iterator[Problem]:
    """A TLSRoute with a backendRef of weight 0 leads nowhere.

    ## Why it matters
    In 1.5 the cluster of such a route is missing, and its connections are closed.

    ## How to fix it
    Remove the backendRef, or go to 1.6.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(TLS_ROUTE):
        for _, entry in rules_of(attachment.route):
            refs = rule_backend_refs(entry)
            zero = [ref for ref in refs if ref.entry.body.get("weight") == 0]
            if not zero:
                continue
            only = len(zero) == len(refs)
            yield change(
                snapshot,
                zero[0].entry.at("weight"),
                "the cluster of the route is missing: its connections are closed",
                today="nothing is served" if only else "the other backends serve",
                after="the route leads to a cluster that does not exist",
                keep=("remove the backendRef, or go to 1.6",),
                verify="the cluster of the route in /config_dump",
                fix_patch=patch(attachment.route, zero[0].entry.path),
            )
