"""EGD-301 port-name-mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import Endpoints, endpoints_of, ports, protocol, service_port
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    ENDPOINT_SLICE,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    SERVICE,
    SETTLE,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    ObjectRef,
    is_young,
    our_backends,
)
from egops.rules import rule
from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Ref, Resource, Snapshot


@rule(
    code="EGD-301",
    severity=Severity.ERROR,
    reads=(SERVICE, ENDPOINT_SLICE, HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="every Service port in use has EndpointSlice ports of the same name",
)
def port_name_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """A Service has endpoints, but none for the port that a route uses.

    ## Why it matters
    Envoy Gateway joins a Service port and an EndpointSlice port by name and protocol. If no slice
    has a port of that name, Envoy gets no endpoints and answers the requests itself, although
    pods are ready. It happens with hand-written EndpointSlices, and with a `targetPort` name that
    no container declares.

    ## How to fix it
    Give the Service port and the EndpointSlice port the same name and protocol, or correct the
    Service's `targetPort`.
    """
    if not snapshot.knows(ENDPOINT_SLICE):
        raise CannotJudge("no EndpointSlice in the input")
    told: set[tuple[Ref, int | None]] = set()
    for use in our_backends(snapshot):
        backend = use.backend
        if use.is_mirror or backend.ref is None or (backend.ref, backend.port) in told:
            continue
        told.add((backend.ref, backend.port))
        service = snapshot.get(backend.ref) if backend.ref.kind == SERVICE else None
        port = service_port(service, backend) if service else None
        if service and port and (problem := _problem(service, port, backend, snapshot)):
            yield problem


def _problem(
    service: Resource, port: Mapping[str, Any], backend: ObjectRef, snapshot: Snapshot
) -> Problem | None:
    found = endpoints_of(service.ref, snapshot)
    wanted = (text(port, "name"), protocol(port))
    if not found.ready or wanted in found.port_names:
        return None
    index = next(i for i, other in enumerate(ports(service)) if other is port)
    index = next((i for i, other in items(service.spec, "ports") if other is port), index)
    settled = not is_young(service, snapshot) and (
        found.changed is None or snapshot.taken_at - found.changed >= SETTLE
    )
    name = wanted[0] or "(unnamed)"
    return Problem(
        service.at("spec", "ports", index),
        f"{found.ready} endpoints are ready, none with a port named {name} ({wanted[1]})",
        evidence=(
            f"Service port: {name}, {wanted[1]} {backend.port}, targetPort {_target(port)}",
            f"EndpointSlice ports: {_slice_ports(found)}",
        ),
        why="Envoy Gateway joins Service and EndpointSlice ports by name",
        remedy=_remedy(port, found, name),
        settled=settled or snapshot.strict,
        related=(*(entry.at("ports") for entry in found.slices[:3]), backend.entry.at("port")),
        explains=("EGD-242", "EGD-502", "EGD-505"),
        explains_refs=(str(backend.entry.resource.ref),),
    )


def _target(port: Mapping[str, Any]) -> str:
    target = port.get("targetPort")
    return str(target) if isinstance(target, (int, str)) else "the same"


def _slice_ports(found: Endpoints) -> str:
    named = sorted(f"{name or '(unnamed)'} {kind}" for name, kind in found.port_names)
    return ", ".join(named) or "none"


def _remedy(port: Mapping[str, Any], found: Endpoints, name: str) -> tuple[str, ...]:
    target = port.get("targetPort")
    if isinstance(target, str) and not found.port_names:
        return (
            f"name a container port {target}, or set targetPort to the number the pods listen on",
        )
    return (f"name the port {name} in the EndpointSlice, or rename the Service port",)
