"""EGD-241 backend-ref-not-resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.backends import Fault, fault_of
from egops.finding import Confidence, Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    REFERENCE_GRANT,
    SERVICE,
    SERVICE_IMPORT,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    Condition,
    ObjectRef,
    backend_refs,
    condition,
    is_young,
    mirror_refs,
    our_parents,
    our_routes,
    running_version,
    unseen,
)
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-241",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY, SERVICE, REFERENCE_GRANT),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE, BACKEND, SERVICE_IMPORT),
    since="0.1",
    ok="every backendRef names something that exists, may be used and has that port",
)
def backend_ref_not_resolved(snapshot: Snapshot) -> Iterator[Problem]:
    """A route refers to a backend that does not exist, has no such port, or may not be used.

    ## Why it matters
    The route says `ResolvedRefs=False`, and the share of requests that would go to this backend is
    answered with a 500. Envoy Gateway 1.3 to 1.6.0 answers the whole rule so.

    ## How to fix it
    Create the backend or correct its name, namespace or port; for a backend in another namespace
    create the ReferenceGrant that the finding spells out, in the backend's namespace.
    """
    for route in our_routes(snapshot):
        refused = _refused(route, snapshot)
        faults = [
            (backend, fault)
            for backend in (*backend_refs(route), *mirror_refs(route))
            if (fault := fault_of(backend, snapshot))
        ]
        for backend, fault in faults:
            yield _problem(route, backend, fault, refused, snapshot)
        for found in () if faults else refused:
            yield Problem(
                route.at("spec", "rules"),
                f"a reference is not resolved: {found.reason}",
                evidence=(conditions.told(found),),
                why=found.message,
                remedy=(f"repair what the condition names: {found.message}",),
                severity=conditions.severity(found, route, Severity.ERROR),
                settled=found.has_settled(route, snapshot),
                explains=("EGD-248", "EGD-501"),
                explains_refs=(str(route.ref),),
            )


def _refused(route: Resource, snapshot: Snapshot) -> list[Condition]:
    found = (conditions.failed(p.body, "ResolvedRefs") for p in our_parents(route, snapshot))
    return list({condition.message: condition for condition in found if condition}.values())


def _problem(
    route: Resource,
    backend: ObjectRef,
    fault: Fault,
    refused: list[Condition],
    snapshot: Snapshot,
) -> Problem:
    path = (fault.field,) if fault.field and fault.field in backend.entry.body else ()
    evidence = [*fault.evidence, *map(conditions.told, refused)]
    confidence = Confidence.HIGH
    if fault.reason in ("BackendNotFound", "RefNotPermitted") and (caveat := unseen(snapshot)):
        evidence += caveat
        confidence = Confidence.MEDIUM
    if not refused and (good := _contradicts(route, snapshot)):
        evidence.append(f"the route's status lags or knows better: {conditions.told(good)}")
        confidence = Confidence.MEDIUM
    return Problem(
        backend.entry.at(*path),
        fault.message,
        evidence=tuple(evidence),
        why=_effect(fault, snapshot),
        remedy=fault.remedy,
        confidence=confidence,
        settled=not is_young(route, snapshot),
        explains=("EGD-501", "EGD-311"),
        explains_refs=(str(route.ref),),
    )


def _contradicts(route: Resource, snapshot: Snapshot) -> Condition | None:
    for parent in our_parents(route, snapshot):
        found = condition(parent.body, "ResolvedRefs")
        if found and found.is_true and found.is_fresh(route):
            return found
    return None


def _effect(fault: Fault, snapshot: Snapshot) -> str:
    version = running_version(snapshot)
    if version and (1, 3) <= version < (1, 6, 1):
        return f"{fault.reason}: Envoy Gateway answers all requests of the rule with a 500"
    return f"{fault.reason}: requests that would go to this backend are answered with a 500"
