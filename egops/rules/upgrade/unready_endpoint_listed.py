"""EGU-1625 unready-endpoint-listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENDPOINT_SLICE
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1625",
    severity=Severity.INFO,
    optional=(*ROUTES, ENDPOINT_SLICE),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="every endpoint is ready",
)
def unready_endpoint_listed(snapshot: Snapshot) -> Iterator[Problem]:
    """Endpoints that are not ready are listed as draining.

    ## Why it matters
    Up to 1.5 they were left out. From 1.6 on Envoy counts them as members, keeps their connections
    and makes no new ones: alerts on `membership_total` and panic mode see other figures.

    ## How to fix it
    Nothing is to be done for traffic; compare `membership_healthy`, not `membership_total`.
    """
    upgrade_of(snapshot)
    for piece in snapshot.all(ENDPOINT_SLICE):
        found = [
            index
            for index, endpoint in items(piece.body, "endpoints")
            if _is_left_out(section(endpoint, "conditions"))
        ]
        if found:
            yield change(
                snapshot,
                piece.at("endpoints", found[0]),
                f"{len(found)} endpoint(s) are kept as draining instead of left out",
                today="an endpoint that is not ready is left out",
                after="it is listed as DRAINING",
                verify="health_flags in /clusters",
            )


def _is_left_out(state: Mapping[str, Any]) -> bool:
    """Return whether 1.5 leaves the endpoint out: `serving` counts only beside `terminating`."""
    if state.get("serving") is not None and state.get("terminating") is not None:
        return state["serving"] is False
    return state.get("ready") is False
