"""EGU-1702 mirror-with-own-answer-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE_FILTER
from egops.rules import rule
from egops.upgrade.releases import notes_link
from egops.upgrade.routefilters import not_accepted
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1702",
    severity=Severity.ERROR,
    optional=(
        *ROUTES,
        HTTP_ROUTE_FILTER,
    ),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="every filter of the routes is valid",
)
def mirror_with_own_answer_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A rule mirrors requests and answers them itself: its route is refused from now on.

    ## Why it matters
    A mirror next to a redirect or a direct response was ignored. The route is now Accepted=False.

    ## How to fix it
    Remove the mirror, or put it into a rule of its own.
    """
    yield from not_accepted(snapshot)
