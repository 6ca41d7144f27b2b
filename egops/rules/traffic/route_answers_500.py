"""EGD-501 route-answers-500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Confidence, Severity
from egops.gatewayapi import HTTP_ROUTE_FILTER, ROUTE_KINDS, condition
from egops.rules import rule
from egops.snapshot import Probe, items
from egops.traffic import (
    answers_directly,
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
    from egops.traffic import Group


@rule(
    code="EGD-501",
    severity=Severity.ERROR,
    optional=(*ROUTE_KINDS, HTTP_ROUTE_FILTER),
    probes=(Probe.PROXY_LOG,),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="no route answers 500 by itself",
)
def route_answers_500(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A route answers 500 by itself, without asking a backend.

    ## Why it matters
    Envoy Gateway puts a direct response in place of a rule that it can't translate: a backendRef
    that does not resolve, a policy or filter that is invalid, or weights that are all 0.

    ## How to fix it
    Repair the object that the route's conditions name: EGD-241 (backendRefs), EGD-247 (weights),
    EGD-340 (policies), EGD-245 (filters). Envoy Gateway's log says `setting 500 direct response`
    with the reason.
    """
    for group in failures(snapshot, _fails, by_route):
        if still_answers(group, 500) and not answers_directly(group.key, snapshot):
            yield _problem(group, snapshot)
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    return entry.code == 500 and entry.details == "direct_response"


def _problem(group: Group, snapshot: Snapshot) -> Problem:
    found = route_of(group.key, snapshot)
    states = []
    if found is not None:
        for _, parent in items(found[0].status, "parents"):
            for kind in ("Accepted", "ResolvedRefs"):
                state = condition(parent, kind)
                if state is not None and state.is_false:
                    states.append(f"{kind}=False {state.reason}: {state.message}")
    return problem(
        group,
        snapshot,
        f"{told(group)} got 500 from the gateway itself, not from a backend",
        impact="these requests can't succeed until the rule is repaired",
        evidence=tuple(dict.fromkeys(states)),
        why=states[0] if states else "",
        remedy=("repair what the route names: EGD-241, EGD-245, EGD-247, EGD-340",),
        confidence=Confidence.HIGH if found else Confidence.MEDIUM,
    )
