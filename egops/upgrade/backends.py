"""Which backendRefs Envoy Gateway can't use, and why: what `ResolvedRefs=False` means, on paper."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    CONFIG_MAP,
    EG,
    ENDPOINT_SLICE,
    ENVOY_PROXY,
    GRPC_ROUTE,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
    SERVICE_IMPORT,
    TCP_ROUTE,
    UDP_ROUTE,
    grants,
    rule_backend_refs,
    rules_of,
)
from egops.snapshot import SourceType, entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Kind, Resource, Snapshot
    from egops.upgrade.world import World

KINDS = (SERVICE, SERVICE_IMPORT, BACKEND, REFERENCE_GRANT, ENDPOINT_SLICE, ENVOY_PROXY)
TLS_KINDS = (BACKEND_TLS_POLICY, CONFIG_MAP, SECRET)
_GROUPS = ("", "multicluster.x-k8s.io", EG)
_KINDS = ("Service", "ServiceImport", "Backend")
_LABELS = {
    "Service": "kubernetes.io/service-name",
    "ServiceImport": "multicluster.kubernetes.io/service-name",
}
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


class Fault(NamedTuple):
    """Why a backendRef can't be used; `possible` says what would make it certain.

    `is_mixed` marks the one fault that releases before 1.3 only reported and served all the same.
    """

    reason: str
    possible: str = ""
    is_mixed: bool = False


class Unknown(NamedTuple):
    """The input does not hold what is needed to tell."""

    kind: str


def fault_of(world: World, ref: ObjectRef, route: Resource) -> Fault | Unknown | None:
    """Return what is wrong with a backendRef of a route, None if nothing is."""
    key = (route.ref, ref.entry.path)
    if key not in world.faults:
        world.faults[key] = _fault(world, ref, route)
    found: Fault | Unknown | None = world.faults[key]
    return found


def _fault(world: World, ref: ObjectRef, route: Resource) -> Fault | Unknown | None:
    body = ref.entry.body
    if _has_bad_filter(body):
        return Fault("a filter other than the header modifiers stands in the backendRef")
    if ref.group not in _GROUPS:
        return Fault(f"its group {ref.group} is not supported")
    if ref.kind_name not in _KINDS:
        return Fault(f"its kind {ref.kind_name} is not supported")
    if ref.ref is None:
        return Fault(f"there is no {ref.kind_name} in group {ref.group or 'core'}")
    refused = _refused(world.snapshot, ref, route)
    if refused is not None:
        return refused
    protocol = "UDP" if route.kind == UDP_ROUTE else "TCP"
    if ref.kind_name == "Backend":
        return _backend_fault(world, ref)
    if ref.port is None:
        return Fault("it names no port")
    return _service_fault(world.snapshot, ref, protocol) or _mixed_slices(world, ref, route)


def policy_fault(world: World, ref: ObjectRef, policy: Resource) -> Fault | Unknown | None:
    """Return what is wrong with a backendRef of a policy, None if nothing is."""
    if ref.ref is None or ref.kind_name not in _KINDS:
        return Fault(f"its kind {ref.kind_name} is not supported")
    refused = _refused(world.snapshot, ref, policy)
    if refused is not None:
        return refused
    if ref.kind_name == "Backend":
        return _backend_fault(world, ref, routes=False)
    if ref.port is None:
        return Fault("it names no port")
    return _service_fault(world.snapshot, ref, "TCP")


def worked_before(ref: ObjectRef, route: Resource, fault: Fault | Unknown | None) -> bool:
    """Return whether releases before 1.3 send requests to a backendRef.

    They take mixed addresses, and refuse every Backend of a GRPCRoute, TCPRoute or UDPRoute.
    """
    if ref.entry.body.get("weight") == 0:
        return False
    if ref.kind_name == "Backend" and route.kind in (GRPC_ROUTE, TCP_ROUTE, UDP_ROUTE):
        return False
    return not isinstance(fault, Fault) or fault.is_mixed


def serves(world: World, route: Resource) -> bool:
    """Return whether any rule of a route does more than fail: what is broken can't break."""
    for _, rule in rules_of(route):
        if any(_answers(entry) for _, entry in items(rule.body, "filters")):
            return True
        for ref in rule_backend_refs(rule):
            if worked_before(ref, route, fault_of(world, ref, route)):
                return True
    return False


def _answers(entry: object) -> bool:
    return bool(section(entry, "requestRedirect") or section(entry, "extensionRef"))


def _has_bad_filter(body: object) -> bool:
    allowed = ("RequestHeaderModifier", "ResponseHeaderModifier")
    return any(text(entry, "type") not in allowed for _, entry in items(body, "filters"))


def _refused(snapshot: Snapshot, ref: ObjectRef, source: Resource) -> Fault | None:
    if ref.ref is None or ref.namespace == source.namespace or grants(snapshot, source, ref.ref):
        return None
    reason = (
        f"no ReferenceGrant in {ref.namespace} allows {source.kind.name}s of {source.namespace}"
    )
    if snapshot.knows(REFERENCE_GRANT):
        return Fault(reason)
    return Fault(reason, possible="certain if no ReferenceGrant is left out of the input")


def _missing(snapshot: Snapshot, ref: ObjectRef) -> Fault | Unknown | None:
    if ref.ref is None or snapshot.get(ref.ref) is not None:
        return None
    label = f"{ref} does not exist"
    if not snapshot.knows(ref.ref.kind):
        if ref.ref.kind != SERVICE and snapshot.knows(SERVICE):
            return Fault(label, possible=f"certain if no {ref.kind_name} is left out of the input")
        return Unknown(ref.ref.kind.name)
    possible = ""
    if snapshot.source.type is not SourceType.CLUSTER:
        same = any(found.namespace == ref.namespace for found in snapshot.all(ref.ref.kind))
        possible = (
            "" if same else f"certain if namespace {ref.namespace} has no more {ref.kind_name}s"
        )
    return Fault(label, possible=possible)


def _service_fault(snapshot: Snapshot, ref: ObjectRef, protocol: str) -> Fault | Unknown | None:
    missing = _missing(snapshot, ref)
    found = snapshot.get(ref.ref) if ref.ref else None
    if missing is not None or found is None:
        return missing
    for _, port in items(found.spec, "ports"):
        if number(port, "port") == ref.port and (text(port, "protocol") or "TCP") == protocol:
            return None
    return Fault(f"{ref} has no {protocol} port {ref.port}")


def _backend_fault(world: World, ref: ObjectRef, *, routes: bool = True) -> Fault | Unknown | None:
    config = world.config
    if config is not None and section(config, "extensionApis").get("enableBackend") is not True:
        return Fault("the configuration does not enable Backends (extensionApis.enableBackend)")
    missing = _missing(world.snapshot, ref)
    found = world.snapshot.get(ref.ref) if ref.ref else None
    if missing is not None or found is None:
        return missing
    return backend_error(found, routes=routes)


def backend_error(backend: Resource, *, routes: bool = True) -> Fault | None:
    """Return why a Backend is not accepted (for routes: or can't be used by them)."""
    names, addresses = 0, 0
    for _, endpoint in items(backend.spec, "endpoints"):
        if section(endpoint, "fqdn"):
            names += 1
            if not _is_fqdn(text(endpoint, "fqdn", "hostname")):
                return Fault(f"{text(endpoint, 'fqdn', 'hostname')!r} is no domain name")
        elif section(endpoint, "ip"):
            addresses += 1
            if reason := _bad_address(text(endpoint, "ip", "address")):
                return Fault(reason)
        elif section(endpoint, "unix"):
            addresses += 1
            if routes:
                return Fault("a Unix socket can't be the backend of a route")
    if names and addresses:
        return Fault(f"Backend {backend.name} mixes domain names and addresses", is_mixed=True)
    return None


def _is_fqdn(name: str) -> bool:
    if len(name) > 253 or not _DNS.match(name) or "." not in name:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _bad_address(value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return f"{value!r} is no IP address"
    return f"{value} is a loopback address" if address.is_loopback else ""


def _mixed_slices(world: World, ref: ObjectRef, route: Resource) -> Fault | None:
    label = _LABELS.get(ref.kind_name, "")
    kinds = {
        text(found.body, "addressType")
        for found in world.slices.get((ref.namespace, label, ref.name), ())
        if entries(found.body, "endpoints")
    }
    if "FQDN" not in kinds or len(kinds) < 2:
        return None
    gateways = [found for found in world.gateways if _leads_to(route, found)]
    if gateways and all(world.routes_to_services(gateway) for gateway in gateways):
        return None
    return Fault(f"the EndpointSlices of {ref} mix names and addresses", is_mixed=True)


def _leads_to(route: Resource, gateway: Resource) -> bool:
    for _, parent in items(route.spec, "parentRefs"):
        namespace = text(parent, "namespace") or route.namespace
        if (namespace, text(parent, "name")) == (gateway.namespace, gateway.name):
            return True
    return False


def served_in_spite(world: World, kind: Kind) -> Iterator[tuple[ObjectRef, Fault]]:
    """Yield the first bad backendRef of each rule that has good ones too, with what is wrong."""
    for attachment in world.routes(kind):
        for _, entry in rules_of(attachment.route):
            refs = [(r, fault_of(world, r, attachment.route)) for r in rule_backend_refs(entry)]
            bad = [(ref, fault) for ref, fault in refs if isinstance(fault, Fault)]
            if bad and not all(fault is not None for _, fault in refs):
                yield bad[0]
