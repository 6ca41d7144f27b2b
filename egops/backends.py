"""Backends of routes: whether a reference resolves, and how many endpoints stand behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.gatewayapi import (
    BACKEND,
    ENDPOINT_SLICE,
    SERVICE,
    SERVICE_IMPORT,
    UDP_ROUTE,
    ObjectRef,
    condition,
    grants,
    installs,
    our_parents,
    per_snapshot,
    timestamp,
)
from egops.snapshot import Ref, entries, items, number, section, text
from egops.spelling import closest, some

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egops.snapshot import Kind, Resource, Snapshot

BACKEND_KINDS = (SERVICE, SERVICE_IMPORT, BACKEND)
GRANT_VERSION = "gateway.networking.k8s.io/v1beta1"


class Fault(NamedTuple):
    """Why a backendRef does not resolve: the condition's reason, one clause, and what to do."""

    reason: str
    message: str
    evidence: tuple[str, ...]
    remedy: tuple[str, ...]
    field: str = "name"


def fault_of(backend: ObjectRef, snapshot: Snapshot) -> Fault | None:
    """Return why a backendRef of a route does not resolve, as far as the objects tell."""
    key = ("fault", backend.entry.resource.ref, backend.entry.path)
    if key not in snapshot.derived:
        snapshot.derived[key] = _fault(backend, snapshot)
    found: Fault | None = snapshot.derived[key]
    return found


def _fault(backend: ObjectRef, snapshot: Snapshot) -> Fault | None:
    if backend.ref is None or backend.ref.kind not in BACKEND_KINDS:
        if _is_custom(backend, snapshot):
            return None
        if _is_resolved(backend.entry.resource, snapshot):
            return None  # Envoy Gateway knows better what its extension server brings
        group = backend.group or "core"
        return Fault(
            "InvalidKind",
            f"{backend.kind_name} of group {group} is no kind of backend",
            (),
            ("refer to a Service, a ServiceImport or a Backend",),
            "kind",
        )
    route = backend.entry.resource
    if not grants(snapshot, route, backend.ref):
        return _not_permitted(backend, backend.ref, route)
    if backend.ref.kind != BACKEND and backend.port is None:
        return Fault(
            "PortNotSpecified", f"no port of {backend} is given", (),
            (f"add the port of {backend} to the backendRef",), "",
        )  # fmt: skip
    found = snapshot.get(backend.ref)
    if found is None:
        if not snapshot.knows(backend.ref.kind):
            return None
        return _not_found(backend, backend.ref, snapshot)
    return None if backend.ref.kind == BACKEND else _port_fault(backend, found, route)


def _not_permitted(backend: ObjectRef, to: Ref, route: Resource) -> Fault:
    grant = (
        f"create in namespace {to.namespace}: "
        f"{{apiVersion: {GRANT_VERSION}, kind: ReferenceGrant, "
        f"metadata: {{name: {route.namespace}-to-{to.name}, namespace: {to.namespace}}}, "
        f"spec: {{from: [{{group: {route.kind.group}, kind: {route.kind.name}, "
        f"namespace: {route.namespace}}}], "
        f'to: [{{group: "{to.kind.group}", kind: {to.kind.name}, name: {to.name}}}]}}}}'
    )
    return Fault(
        "RefNotPermitted",
        f"{backend} is in another namespace and no ReferenceGrant lets the route refer to it",
        (f"from {route.kind} in {route.namespace} to {to.kind} in {to.namespace}",),
        (grant, f"or use a backend in namespace {route.namespace}"),
        "namespace",
    )


def _not_found(backend: ObjectRef, to: Ref, snapshot: Snapshot) -> Fault:
    names, namespaces = names_of(snapshot, to.kind)
    here, elsewhere = names.get(to.namespace, []), namespaces.get(to.name, [])
    evidence = [f"{to.kind.plural} in {to.namespace}: {some(here)}"]
    remedy = [f"create {backend}"]
    if elsewhere:
        evidence.append(f"{to.kind} {to.name} exists in {some(elsewhere, 5)}")
        remedy.append("or set the namespace of the backendRef (another one needs a ReferenceGrant)")
    if close := closest(to.name, here):
        remedy.insert(0, f"if {close} is meant, correct the name of the backendRef")
    return Fault("BackendNotFound", f"{backend} does not exist", tuple(evidence), tuple(remedy))


def names_of(snapshot: Snapshot, kind: Kind) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the names of a kind by namespace, and the namespaces by name."""
    key = ("names_of", kind)
    if key not in snapshot.derived:
        names: dict[str, list[str]] = {}
        namespaces: dict[str, list[str]] = {}
        for resource in snapshot.all(kind):
            names.setdefault(resource.namespace, []).append(resource.name)
            namespaces.setdefault(resource.name, []).append(resource.namespace)
        snapshot.derived[key] = (names, namespaces)
    found: tuple[dict[str, list[str]], dict[str, list[str]]] = snapshot.derived[key]
    return found


def _port_fault(backend: ObjectRef, found: Resource, route: Resource) -> Fault | None:
    wanted = "UDP" if route.kind == UDP_ROUTE else "TCP"
    if any(number(p, "port") == backend.port and protocol(p) == wanted for p in ports(found)):
        return None
    shown = [f"{number(port, 'port')}/{protocol(port)}" for port in ports(found)]
    return Fault(
        "PortNotFound",
        f"{backend} has no {wanted} port {backend.port}",
        (f"ports of {backend}: {', '.join(shown) or 'none'}",),
        (f"set the port of the backendRef to one of {', '.join(shown)}",)
        if shown
        else (f"add port {backend.port} to {backend}",),
        "port",
    )


def _is_custom(backend: ObjectRef, snapshot: Snapshot) -> bool:
    """Return whether an extension server serves this kind of backend."""
    return (backend.group, backend.kind_name) in extension_kinds(snapshot)


@per_snapshot
def extension_kinds(snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    """Return group and kind of what extension servers bring: filters, backends and policies."""
    found = set()
    for install in installs(snapshot):
        one = section(install.config, "extensionManager")
        for manager in (one, *entries(install.config, "extensionManagers")):
            for field_name in ("resources", "backendResources", "policyResources"):
                for _, entry in items(manager, field_name):
                    found.add((text(entry, "group"), text(entry, "kind")))
    return frozenset(found)


def _is_resolved(route: Resource, snapshot: Snapshot) -> bool:
    """Return whether the status says that every reference of the route resolves."""
    found = [condition(p.body, "ResolvedRefs") for p in our_parents(route, snapshot)]
    return bool(found) and all(c is not None and c.is_true and c.is_fresh(route) for c in found)


def ports(service: Resource) -> list[Mapping[str, Any]]:
    """Return the ports of a Service or ServiceImport."""
    return [port for _, port in items(service.spec, "ports")]


def protocol(port: Mapping[str, Any]) -> str:
    """Return the protocol of a port; TCP is the default."""
    return text(port, "protocol") or "TCP"


def service_port(service: Resource, backend: ObjectRef) -> Mapping[str, Any] | None:
    """Return the port of the Service that a backendRef names."""
    return next((p for p in ports(service) if number(p, "port") == backend.port), None)


# ------------------------------------------------------------------ endpoints


@dataclass
class Endpoints:
    """The endpoints of a Service, all its EndpointSlices together."""

    slices: list[Resource] = field(default_factory=list)
    ready: int = 0
    total: int = 0
    not_ready: list[str] = field(default_factory=list)  # pods, or addresses
    port_names: set[tuple[str, str]] = field(default_factory=set)  # of slices with ready ones
    changed: datetime | None = None


@per_snapshot
def endpoints(snapshot: Snapshot) -> dict[tuple[str, str], Endpoints]:
    """Return the endpoints by namespace and name of the Service."""
    found: dict[tuple[str, str], Endpoints] = {}
    for entry in snapshot.all(ENDPOINT_SLICE):
        name = text(entry.labels, "kubernetes.io/service-name")
        if name:
            _add(found.setdefault((entry.namespace, name), Endpoints()), entry)
    return found


def _add(to: Endpoints, entry: Resource) -> None:
    to.slices.append(entry)
    changed = timestamp(
        entry.annotations.get("endpoints.kubernetes.io/last-change-trigger-time")
        or entry.metadata.get("creationTimestamp")
    )
    if changed and (to.changed is None or changed > to.changed):
        to.changed = changed
    ready = 0
    for _, endpoint in items(entry.body, "endpoints"):
        addresses = entries(endpoint, "addresses")
        if is_serving(endpoint):
            ready += len(addresses)
        else:
            pod = text(endpoint, "targetRef", "name")
            to.not_ready += [pod] if pod else [str(address) for address in addresses]
        to.total += len(addresses)
    to.ready += ready
    if ready:
        to.port_names |= {
            (text(port, "name"), protocol(port)) for _, port in items(entry.body, "ports")
        }


def is_serving(endpoint: Mapping[str, Any]) -> bool:
    """Return whether Envoy Gateway gives the endpoint traffic: absent conditions are good ones."""
    state = section(endpoint, "conditions")
    if state.get("terminating") is True or state.get("serving") is False:
        return False
    return state.get("ready") is not False


def endpoints_of(service: Ref, snapshot: Snapshot) -> Endpoints:
    """Return the endpoints of a Service; empty if it has no slice."""
    return endpoints(snapshot).get((service.namespace, service.name), Endpoints())
