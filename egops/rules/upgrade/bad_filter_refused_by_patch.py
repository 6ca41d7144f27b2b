"""EGU-1613 bad-filter-refused-by-patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE_FILTER
from egops.rules import rule
from egops.upgrade.backends import KINDS
from egops.upgrade.releases import notes_link
from egops.upgrade.routefilters import answers_500, not_accepted
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1613",
    severity=Severity.ERROR,
    optional=(
        *ROUTES,
        *KINDS,
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
    yield from answers_500(snapshot)
    yield from not_accepted(snapshot)
