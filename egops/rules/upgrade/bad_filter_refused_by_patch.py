"""EGU-1613 bad-filter-refused-by-patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE_FILTER
from egops.rules import rule
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import is_repaired, notes_link
from egops.upgrade.routefilters import SINCE, clashing, invalid
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1613",
    severity=Severity.ERROR,
    optional=(
        *ROUTES,
        HTTP_ROUTE_FILTER,
    ),
    since="0.1",
    changed_in=(1, 6, 6),
    fixed_in=(1, 7, 0),
    link=notes_link((1, 6, 6)),
    ok="every filter of the routes is valid",
)
def bad_filter_refused_by_patch(snapshot: Snapshot) -> Iterator[Problem]:
    """A patch of 1.6 refuses filters that were ignored: rules answer 500 or are not accepted.

    ## Why it matters
    1.6.6 took over from 1.7 that rules with invalid filters answer 500, and that a mirror next to a
    redirect or a direct response makes the route Accepted=False.

    ## How to fix it
    Correct the filter before the upgrade.
    """
    if is_repaired(upgrade_of(snapshot).from_version, SINCE):
        return
    for found in invalid(world(snapshot)):
        yield change(
            snapshot,
            found.attachment.route.at(*found.path),
            f"the rule answers 500: {found.reason}",
            today="the rule is left out, other routes may take its requests",
            after="requests that match the rule get 500",
            keep=("correct the filter, or remove the rule",),
            verify="the route is Accepted=True and ResolvedRefs=True",
            possible=found.possible,
        )
    for found in clashing(world(snapshot)):
        yield change(
            snapshot,
            found.attachment.route.at(*found.path),
            f"a mirror makes the route Accepted=False: {found.reason}",
            today="the mirror is ignored, the rule redirects or answers",
            after="the route is not accepted, the rule does not work",
            keep=("remove the mirror, or put it into a rule of its own",),
            verify="the route is Accepted=True",
            fix_patch=patch(found.attachment.route, found.path),
        )
