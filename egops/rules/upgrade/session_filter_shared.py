"""EGU-1430 session-filter-shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE, rules_of
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1430",
    severity=Severity.INFO,
    reads=(HTTP_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != HTTP_ROUTE),
    since="0.1",
    changed_in=((1, 4, 3), (1, 5, 0)),
    link=notes_link((1, 4, 3)),
    ok="no rule keeps sessions",
)
def session_filter_shared(snapshot: Snapshot) -> Iterator[Problem]:
    """Session persistence needs one filter instead of one for each route.

    ## Why it matters
    A new route with `sessionPersistence` no longer changes the listener, so connections stay
    open. EnvoyPatchPolicies on the filter's old name find nothing.

    ## How to fix it
    Look at EnvoyPatchPolicies on `envoy.filters.http.stateful_session/…`.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(HTTP_ROUTE):
        for index, entry in rules_of(attachment.route):
            if section(entry.body, "sessionPersistence"):
                yield change(
                    snapshot,
                    entry.at("sessionPersistence", section=f"rule {index}"),
                    "the session filter has another name and is shared",
                    today="a filter of the listener for each route",
                    after="one filter, configured by the route",
                )
