"""EGU-1826 bad-header-answers-500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.headers import refused
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1826",
    severity=Severity.ERROR,
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no header filter has a name that can't be set",
)
def bad_header_answers_500(snapshot: Snapshot) -> Iterator[Problem]:
    """A rule whose header filter is refused answers 500.

    ## Why it matters
    Up to 1.7 a route with such a filter was left out, and another one might take its requests.
    From 1.8 on its requests get a 500.

    ## How to fix it
    Correct the header name, or use a URLRewrite filter for the host.
    """
    step = upgrade_of(snapshot)
    passed = step.from_version in (
        (1, 3, 0),
        (1, 3, 1),
    )  # the host, and what is removed: EGU-1336's
    for attachment in world(snapshot).routes(HTTP_ROUTE):
        found = refused(attachment.route, of_backends=False, names_only=passed)
        if found is not None:
            path, reason = found
            yield change(
                snapshot,
                attachment.route.at(*path),
                f"the rule answers 500: {reason}",
                today="the route is Accepted=False and left out, others may take its requests",
                after="requests that match the rule get 500",
                keep=("correct the filter, or remove the rule",),
                verify="the route is Accepted=True",
            )
