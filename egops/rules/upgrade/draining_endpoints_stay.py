"""EGU-1331 draining-endpoints-stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENDPOINT_SLICE
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1331",
    severity=Severity.WARNING,
    reads=(ENDPOINT_SLICE,),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/pull/4946",
    ok="no endpoint is terminating",
)
def draining_endpoints_stay(snapshot: Snapshot) -> Iterator[Problem]:
    """Endpoints that terminate but still serve stay in the cluster as draining.

    ## Why it matters
    They were removed at once. During a rollout there are more members than healthy ones: alerts
    that compare the two fire, and panic mode is reckoned with other figures.

    ## How to fix it
    Let alerts on `membership_total` wait longer than a rollout takes.
    """
    upgrade_of(snapshot)
    for piece in snapshot.all(ENDPOINT_SLICE):
        for index, endpoint in items(piece.body, "endpoints"):
            state = section(endpoint, "conditions")
            serving, terminating = state.get("serving"), state.get("terminating")
            if serving is True and terminating is True and state.get("ready") is not True:
                yield change(
                    snapshot,
                    piece.at("endpoints", index),
                    "the terminating endpoint stays in the cluster as draining",
                    today="it is removed at once",
                    after="it stays with health DRAINING until it is gone",
                    keep=("let alerts on membership_total wait longer than a rollout",),
                    verify="membership_total during a rollout",
                    severity=Severity.INFO,
                )
            elif serving is False and terminating is not None and state.get("ready") is not False:
                yield change(
                    snapshot,
                    piece.at("endpoints", index),
                    "the endpoint that is ready but not serving is left out",
                    today="ready alone counts",
                    after="serving counts: the endpoint gets no traffic",
                    keep=("correct the conditions of the EndpointSlice",),
                    verify="the endpoint in /clusters",
                )
