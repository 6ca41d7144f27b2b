"""EGD-502 route-answers-503."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import endpoints_of
from egops.finding import Confidence, Severity
from egops.gatewayapi import ENDPOINT_SLICE, HTTP_ROUTE_FILTER, ROUTE_KINDS, SERVICE
from egops.rules import rule
from egops.snapshot import Probe
from egops.traffic import (
    answers_directly,
    backends_of,
    by_route,
    failures,
    problem,
    route_of,
    still_answers,
    told,
    unread_logs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Problem, Unjudged
    from egops.snapshot import Snapshot


@rule(
    code="EGD-502",
    severity=Severity.ERROR,
    optional=(*ROUTE_KINDS, HTTP_ROUTE_FILTER, ENDPOINT_SLICE),
    probes=(Probe.PROXY_LOG,),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="no route answers 503 by itself",
)
def route_answers_503(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A route answers 503 by itself, because none of its backends has a ready endpoint.

    ## Why it matters
    From Envoy Gateway 1.6 a rule whose backends have no ready endpoint becomes a direct response;
    WebSocket upgrades get 403 from it.

    ## How to fix it
    Bring pods of the Service up, or correct its selector (EGD-242, EGD-300). Envoy Gateway's log
    says `setting 503 direct response in routes due to no ready endpoints`.
    """
    for group in failures(snapshot, _fails, by_route):
        if answers_directly(group.key, snapshot) or not still_answers(group, 503):
            continue
        counts = [
            f"{ref}: {endpoints_of(ref.ref, snapshot).ready} ready endpoints"
            for ref in backends_of(group.key, snapshot)
            if ref.ref is not None and ref.ref.kind == SERVICE and snapshot.knows(ENDPOINT_SLICE)
        ]
        yield problem(
            group,
            snapshot,
            f"{told(group)} got 503 from the gateway itself: no ready endpoint",
            impact="every request to this rule fails",
            evidence=tuple(counts),
            why="; ".join(counts),
            remedy=("bring pods of the Service up, or correct its selector: EGD-242, EGD-300",),
            confidence=Confidence.HIGH if route_of(group.key, snapshot) else Confidence.MEDIUM,
        )
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    return entry.code == 503 and entry.details == "direct_response"
