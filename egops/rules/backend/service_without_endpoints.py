"""EGD-300 service-without-endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.attachment import is_accepted
from egops.backends import Endpoints, endpoints_of
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    ENDPOINT_SLICE,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    POD,
    SERVICE,
    SETTLE,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    ObjectRef,
    condition,
    grants,
    is_young,
    our_backends,
    per_snapshot,
    running_version,
)
from egops.listeners import selects
from egops.rules import rule
from egops.snapshot import SourceType, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Ref, Resource, Snapshot

MAY_BE_EMPTY = "egops.dev/may-be-empty"


@rule(
    code="EGD-300",
    severity=Severity.ERROR,
    reads=(SERVICE, ENDPOINT_SLICE, HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE, POD),
    since="0.1",
    ok="every Service that a route sends traffic to has ready endpoints",
)
def service_without_endpoints(snapshot: Snapshot) -> Iterator[Problem]:
    """A Service that a route sends traffic to has no ready endpoint.

    ## Why it matters
    Envoy has nowhere to send the requests and answers them itself: with a 503 from Envoy Gateway
    1.6 on, with a 500 before. An endpoint counts as ready unless it is not ready, not serving or
    terminating.

    ## How to fix it
    If no pod matches the Service's selector, correct the selector or scale the workload up; if
    pods match and are not ready, repair what their readiness probe tells. A Service that is
    scaled to zero on purpose takes the annotation `egops.dev/may-be-empty: "true"`: it is then
    mentioned as information only.
    """
    if not snapshot.knows(ENDPOINT_SLICE):
        raise CannotJudge("no EndpointSlice in the input")
    for ref, backends in _used(snapshot).items():
        service = snapshot.get(ref)
        if service is None or text(service.spec, "type") == "ExternalName":
            continue
        found = endpoints_of(ref, snapshot)
        if found.ready or (not found.slices and snapshot.source.type is not SourceType.CLUSTER):
            continue
        yield _problem(service, backends, found, snapshot)


def _used(snapshot: Snapshot) -> dict[Ref, list[ObjectRef]]:
    """Return the Services that accepted routes of ours send traffic to, with who refers to them."""
    used: dict[Ref, list[ObjectRef]] = {}
    for use in our_backends(snapshot):
        ref = use.backend.ref
        if ref is None or ref.kind != SERVICE or use.is_mirror or not use.weight:
            continue
        if grants(snapshot, use.route, ref) and is_accepted(use.route, snapshot):
            used.setdefault(ref, []).append(use.backend)
    return used


def _problem(
    service: Resource, backends: list[ObjectRef], found: Endpoints, snapshot: Snapshot
) -> Problem:
    routes = list(dict.fromkeys(str(backend.entry.resource.ref) for backend in backends))
    pods = _pods(service, snapshot)
    version = running_version(snapshot)
    status = "500" if version and version < (1, 6) else "503"
    settled = not is_young(service, snapshot) and (
        found.changed is None or snapshot.taken_at - found.changed >= SETTLE
    )
    allowed = text(service.annotations, MAY_BE_EMPTY) == "true"
    return Problem(
        service.at("spec"),
        f"0 of {found.total} endpoints are ready",
        evidence=(
            f"used by {', '.join(routes[:5])}{', …' if len(routes) > 5 else ''}",
            f"selector: {_selector(service)}",
            *_evidence(pods, snapshot),
            *([f"not ready: {', '.join(found.not_ready[:5])}"] if found.not_ready else []),
        ),
        why=f"Envoy answers the requests that would go to it with a {status}",
        remedy=_remedy(service, pods, snapshot),
        severity=Severity.INFO if allowed else None,
        settled=settled or snapshot.strict,
        related=tuple(backend.entry.at() for backend in backends[:5]),
        explains=("EGD-242", "EGD-301", "EGD-502", "EGD-505"),
        explains_refs=(*routes, str(service.ref)),
    )


def _pods(service: Resource, snapshot: Snapshot) -> list[Resource]:
    selector = section(service.spec, "selector")
    if not selector:
        return []
    return [
        pod
        for pod in _pods_by_namespace(snapshot).get(service.namespace, [])
        if selects({"matchLabels": selector}, pod.labels)
    ]


@per_snapshot
def _pods_by_namespace(snapshot: Snapshot) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for pod in snapshot.all(POD):
        found.setdefault(pod.namespace, []).append(pod)
    return found


def _selector(service: Resource) -> str:
    found = section(service.spec, "selector")
    return ", ".join(f"{key}={value}" for key, value in sorted(found.items())) or "none"


def _evidence(pods: list[Resource], snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.knows(POD):
        return
    if not pods:
        yield "no pod matches the selector"
    for pod in pods[:5]:
        yield f"{pod.ref}: {_why_not_ready(pod)}"


def _why_not_ready(pod: Resource) -> str:
    for _, container in items(pod.status, "containerStatuses"):
        for state in ("waiting", "terminated"):
            reason = text(container, "state", state, "reason")
            if reason:
                return f"{text(container, 'name')} is {state}: {reason}"
    ready = condition(pod.status, "Ready")
    if ready and not ready.is_true:
        return f"not Ready: {ready.message or ready.reason or text(pod.status, 'phase')}"
    return text(pod.status, "phase") or "phase unknown"


def _remedy(service: Resource, pods: list[Resource], snapshot: Snapshot) -> tuple[str, ...]:
    if pods:
        return (f"find out why {pods[0].ref} is not ready (kubectl describe), and repair that",)
    if not section(service.spec, "selector"):
        return (f"write an EndpointSlice labelled kubernetes.io/service-name: {service.name}",)
    where = f"namespace {service.namespace}"
    return (
        f"scale the workload behind {service.ref} up, or correct its selector: "
        f"no pod in {where} has {_selector(service)}"
        if snapshot.knows(POD)
        else f"check that pods in {where} have {_selector(service)} and are ready",
    )
