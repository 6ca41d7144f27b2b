"""EGU-1625 dying-endpoint-listed."""

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
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1625",
    severity=Severity.INFO,
    optional=(*ROUTES, ENDPOINT_SLICE),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no endpoint is about to go",
)
def dying_endpoint_listed(snapshot: Snapshot) -> Iterator[Problem]:
    """An endpoint that terminates and no longer serves is listed as draining.

    ## Why it matters
    Up to 1.5 it was left out. From 1.6 on Envoy keeps its connections until they end; no new
    ones are made.

    ## How to fix it
    Nothing is to be done: endpoints like these live for seconds.
    """
    upgrade_of(snapshot)
    for piece in snapshot.all(ENDPOINT_SLICE):
        for index, endpoint in items(piece.body, "endpoints"):
            states = section(endpoint, "conditions")
            if states.get("terminating") is True and states.get("serving") is False:
                yield change(
                    snapshot,
                    piece.at("endpoints", index),
                    "the endpoint is kept as draining instead of left out",
                    today="it is left out",
                    after="it is listed as DRAINING",
                )
