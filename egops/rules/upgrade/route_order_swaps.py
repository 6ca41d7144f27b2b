"""EGU-1333 route-order-swaps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE, rules_of
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, age, hostnames, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGU-1333",
    severity=Severity.INFO,
    reads=(HTTP_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != HTTP_ROUTE),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no two HTTPRoutes match the same requests with the same precedence",
)
def route_order_swaps(snapshot: Snapshot) -> Iterator[Problem]:
    """Two HTTPRoutes with the same match may change places.

    ## Why it matters
    Routes are sorted by the age of their object first. Of two rules that match the same requests
    with the same precedence the other one may win after the upgrade.

    ## How to fix it
    Give the matches different precedence, or remove one of the two.
    """
    upgrade_of(snapshot)
    seen: dict[str, Resource] = {}
    told: set[tuple[str, str]] = set()
    for attachment in world(snapshot).routes(HTTP_ROUTE):
        route = attachment.route
        places = [f"{found.gateway.ref}/{found.name}" for found in attachment.listeners]
        for index, entry in rules_of(route):
            for match in entries(entry.body, "matches") or [{}]:
                for host in hostnames(route) or ["*"]:
                    for place in places:
                        key = json.dumps([place, host, match], sort_keys=True, default=str)
                        first = seen.setdefault(key, route)
                        pair = (str(first.ref), str(route.ref))
                        if first is route or pair in told:
                            continue
                        told.add(pair)
                        yield _problem(snapshot, first, route, index)


def _problem(snapshot: Snapshot, first: Resource, route: Resource, index: int) -> Problem:
    older = min(first, route, key=age)
    return change(
        snapshot,
        route.at("spec", "rules", index, section=f"rule {index}"),
        f"{first.ref} matches the same requests: the two may change places",
        today="the order of the list decides",
        after=f"the older object wins: {older.ref}",
        keep=("give one of the matches more precedence, or remove it",),
        verify="the order of the routes in /config_dump",
        possible="certain if the order by name is not the order by age",
        related=(first.at(),),
    )
