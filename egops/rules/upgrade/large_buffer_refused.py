"""EGU-1422 large-buffer-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, GRPC_ROUTE, HTTP_ROUTE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.quantity import whole
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, targets, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "connection", "bufferLimit")


@rule(
    code="EGU-1422",
    severity=Severity.ERROR,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="every buffer limit of a Gateway's policy fits into 32 bits",
)
def large_buffer_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A buffer limit that does not fit fails the policy of a Gateway.

    ## Why it matters
    `connection.bufferLimit` has to be a whole number of bytes below 4 GiB. Up to 1.3 another
    one was ignored; from 1.4 on the policy is not accepted and its routes answer 500.

    ## How to fix it
    Write a limit such as `32Ki`, or remove it.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        limit = section(policy.spec, "connection").get("bufferLimit")
        size = whole(limit)
        routes = [found for found in used if found.route.kind in (HTTP_ROUTE, GRPC_ROUTE)]
        fits = size is not None and 0 <= size < 2**32
        at_gateway = any(target.kind == "Gateway" for target in targets(policy))
        if limit is None or fits or not at_gateway or (joined.is_whole and not routes):
            continue
        yield change(
            snapshot,
            policy.at(*PATH),
            f"bufferLimit {limit} is refused: the policy fails and its routes answer 500",
            today="the limit is ignored, the routes answer",
            after=f"{len(routes)} route(s) answer 500",
            keep=("remove the limit, or write one below 4Gi",),
            verify="the policy is Accepted=True",
            fix_patch=patch(policy, PATH),
        )
