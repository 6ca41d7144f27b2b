"""EGD-144 status-behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    EG_POLICY_KINDS,
    GATEWAY,
    OURS,
    ROUTE_KINDS,
    conditions,
    installs,
    is_young,
    our_ancestors,
    our_gateways,
    our_parents,
    timestamp,
)
from egops.rules import rule
from egops.snapshot import items, number, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import Any

    from egops.snapshot import Resource, Snapshot

PATIENCE = timedelta(seconds=120)
POLICIES = (*EG_POLICY_KINDS, BACKEND_TLS_POLICY)


@rule(
    code="EGD-144",
    severity=Severity.WARNING,
    reads=(GATEWAY,),
    optional=(*OURS, *ROUTE_KINDS, *POLICIES),
    since="0.1",
    ok="the status of every object speaks of its current version",
)
def status_behind(snapshot: Snapshot) -> Iterator[Problem]:
    """The status of an object speaks of an older version of it.

    ## Why it matters
    Whatever the conditions say, they do not speak of the change. Either only the status is late and
    traffic is right, or Envoy Gateway did not take the change in at all.

    ## How to fix it
    If the proxies have the change, restart Envoy Gateway or touch the object. If not, see whether
    it publishes (EGD-142, EGD-141), leads (EGD-143) and runs (EGD-100).
    """
    if any(_is_down(install.deployment) for install in installs(snapshot)):
        return  # EGD-100 says so
    for resource, parts in _judged(snapshot):
        behind = [
            (where, found.type, found.observed_generation)
            for where, status in parts
            for found in conditions(status)
            if found.observed_generation is not None
            and found.observed_generation < resource.generation
        ]
        if behind and not is_young(resource, snapshot):
            yield _problem(resource, behind, snapshot)


def _is_down(deployment: Resource | None) -> bool:
    return deployment is not None and number(deployment.status, "availableReplicas") < 1


def _judged(snapshot: Snapshot) -> Iterator[tuple[Resource, list[tuple[str, Mapping[str, Any]]]]]:
    """Yield the objects that our controllers write status for, with those parts of it."""
    for gateway in our_gateways(snapshot):
        parts: list[tuple[str, Mapping[str, Any]]] = [("status", gateway.status)]
        parts += [(text(e, "name"), e) for _, e in items(gateway.status, "listeners")]
        yield gateway, parts
    for kind in ROUTE_KINDS:
        for route in snapshot.all(kind):
            yield (
                route,
                [(text(e.body, "parentRef", "name"), e.body) for e in our_parents(route, snapshot)],
            )
    for kind in POLICIES:
        for policy in snapshot.all(kind):
            entries = our_ancestors(policy, snapshot)
            yield policy, [(text(e.body, "ancestorRef", "name"), e.body) for e in entries]


def _problem(resource: Resource, behind: list[tuple[str, str, int]], snapshot: Snapshot) -> Problem:
    changed = _changed(resource)
    oldest = min(generation for _, _, generation in behind)
    return Problem(
        resource.at("status"),
        f"its status speaks of generation {oldest}, the object is at {resource.generation}",
        impact="what the conditions say is about an older version",
        evidence=tuple(f"{where} {kind}: generation {seen}" for where, kind, seen in behind[:5]),
        remedy=(
            "see whether Envoy Gateway publishes and leads: EGD-142, EGD-141, EGD-143",
            "if the proxies have the change: restart Envoy Gateway, or touch the object",
        ),
        settled=changed is None or snapshot.taken_at - changed > PATIENCE,
    )


def _changed(resource: Resource) -> datetime | None:
    """Return when the spec was last written, as far as the managers tell."""
    times = [
        timestamp(entry.get("time"))
        for _, entry in items(resource.metadata, "managedFields")
        if text(entry, "subresource") != "status"
    ]
    return max((moment for moment in times if moment), default=None)
