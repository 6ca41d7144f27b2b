"""EGU-1434 retried-request-lasts-longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE, rules_of
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1434",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE,),
    optional=tuple(kind for kind in ROUTES if kind != HTTP_ROUTE),
    since="0.1",
    changed_in=(1, 4, 2),
    link=notes_link((1, 4, 2)),
    ok="no rule with retries has a backend timeout",
)
def retried_request_lasts_longer(snapshot: Snapshot) -> Iterator[Problem]:
    """`backendRequest` limits each try and no longer the whole request.

    ## Why it matters
    With retries the timeout of one try was also written as that of the route, so that the first
    slow try ended the request. From 1.4.2 on the request may last as long as its tries.

    ## How to fix it
    Set `timeouts.request` to limit the whole.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(HTTP_ROUTE):
        for index, entry in rules_of(attachment.route):
            limit = text(entry.body, "timeouts", "backendRequest")
            whole = text(entry.body, "timeouts", "request")
            if "retry" in entry.body and limit and limit != whole:
                yield change(
                    snapshot,
                    entry.at("timeouts", "backendRequest", section=f"rule {index}"),
                    f"requests last up to {whole}, {limit} is for each try"
                    if whole
                    else f"requests last longer than {limit}, as each try may take that long",
                    today=f"the whole request is cut off after {limit}",
                    after=f"each try is, the request after {whole}"
                    if whole
                    else "each try is, the request only by timeouts.request",
                    keep=(f"set timeouts.request to {limit}",),
                    verify="timeout of the route in /config_dump",
                )
