"""EGU-1701 bad-filter-answers-500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE_FILTER
from egops.rules import rule
from egops.upgrade.backends import KINDS
from egops.upgrade.releases import notes_link
from egops.upgrade.routefilters import answers_500
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1701",
    severity=Severity.ERROR,
    optional=(
        *ROUTES,
        *KINDS,
        HTTP_ROUTE_FILTER,
    ),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="every filter of the routes is valid",
)
def bad_filter_answers_500(snapshot: Snapshot) -> Iterator[Problem]:
    """A rule has a filter that can not be translated: it answers 500 from now on.

    ## Why it matters
    A rule with an invalid filter was left out, so another route could take its requests. It now
    answers 500 to all of them.

    ## How to fix it
    Correct the filter before the upgrade.
    """
    yield from answers_500(snapshot)
