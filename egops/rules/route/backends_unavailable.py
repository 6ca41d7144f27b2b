"""EGD-242 backends-unavailable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.backends import endpoints_of
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    ENDPOINT_SLICE,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    SERVICE,
    Condition,
    Entry,
    ObjectRef,
    our_parents,
    our_routes,
    rule_backend_refs,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-242",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, SERVICE, ENDPOINT_SLICE),
    versions=((1, 6), None),
    since="0.1",
    ok="every rule has a backend with ready endpoints",
)
def backends_unavailable(snapshot: Snapshot) -> Iterator[Problem]:
    """Backends of a route have no ready endpoints, says the route's status.

    ## Why it matters
    With `BackendsAvailable=False` the requests that would go to the empty backend are answered
    with a 503 by Envoy itself; if no backend of the rule is left, all of them are.

    ## How to fix it
    Scale the workload up, repair its readiness probe, or correct the Service's selector.
    """
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        found = (
            conditions.failed(p.body, "BackendsAvailable") for p in our_parents(route, snapshot)
        )
        unavailable = next((condition for condition in found if condition), None)
        if unavailable is None:
            continue
        rules = [(entry, list(_empty(entry, snapshot))) for _, entry in rules_of(route)]
        told = [(entry, empty) for entry, empty in rules if empty]
        for entry, empty in told:
            yield _problem(route, entry, empty, unavailable, snapshot)
        if not told:
            yield _problem(route, Entry(route, ("spec", "rules"), {}), [], unavailable, snapshot)


def _carrying(rule_entry: Entry) -> Iterator[ObjectRef]:
    for backend in rule_backend_refs(rule_entry):
        if number(backend.entry.body, "weight", default=1) > 0:
            yield backend


def _empty(rule_entry: Entry, snapshot: Snapshot) -> Iterator[ObjectRef]:
    for backend in _carrying(rule_entry):
        if backend.ref is None or backend.ref.kind != SERVICE or not snapshot.get(backend.ref):
            continue
        if not endpoints_of(backend.ref, snapshot).ready:
            yield backend


def _problem(
    route: Resource, entry: Entry, empty: list[ObjectRef], found: Condition, snapshot: Snapshot
) -> Problem:
    names = ", ".join(dict.fromkeys(str(backend) for backend in empty))
    every = len(empty) == len(list(_carrying(entry)))
    worst = Severity.ERROR if every else Severity.WARNING
    what = f"{names} has no ready endpoints" if empty else f"backends have none: {found.message}"
    share = "every request of the rule" if every else "its share of the requests"
    return Problem(
        entry.at(),
        what,
        evidence=(
            conditions.told(found),
            *(f"{backend}: {_count(backend, snapshot)}" for backend in empty),
        ),
        why=f"{share} is answered with a 503",
        remedy=(
            f"make pods behind {names or 'the backends'} ready: scale up, readiness, selector",
        ),
        severity=conditions.severity(found, route, worst),
        settled=found.has_settled(route, snapshot),
        explains=("EGD-502",),
        explains_refs=(str(route.ref),),
    )


def _count(backend: ObjectRef, snapshot: Snapshot) -> str:
    assert backend.ref
    found = endpoints_of(backend.ref, snapshot)
    return f"{found.ready} of {found.total} endpoints ready"
