"""EGD-303 backend-invalid."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    Condition,
    installs,
    our_backends,
)
from egops.rules import rule
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Ref, Resource, Snapshot


@rule(
    code="EGD-303",
    severity=Severity.ERROR,
    reads=(BACKEND,),
    optional=(*OURS, HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="every Backend is valid and its API is enabled",
)
def backend_invalid(snapshot: Snapshot) -> Iterator[Problem]:
    """A Backend is refused, or the Backend API is not enabled.

    ## Why it matters
    Routes that refer to it get `ResolvedRefs=False`, and their requests a 500. The API is off by
    default; addresses of the proxy itself (127.0.0.1, localhost) are refused for safety, and a
    Backend must not mix IP and host name endpoints.

    ## How to fix it
    Set `extensionApis.enableBackend: true` in the EnvoyGateway configuration, or correct the
    endpoints that the condition names.
    """
    used = _used(snapshot)
    for backend in snapshot.all(BACKEND):
        refs = tuple(str(ref) for ref in used.get(backend.ref, ()))
        refused = _refused(backend)
        path, fault, remedy = _fault(backend, snapshot, is_used=bool(refs))
        if not refused and not fault:
            continue
        yield Problem(
            backend.at(*path),
            fault or f"is refused: {refused.message if refused else ''}",
            evidence=(
                *([conditions.told(refused)] if refused else []),
                *([f"used by {', '.join(refs[:5])}"] if refs else []),
            ),
            remedy=(remedy or "correct the endpoints that the condition names",),
            severity=conditions.severity(refused, backend, Severity.ERROR) if refused else None,
            settled=refused.has_settled(backend, snapshot) if refused else True,
            explains=("EGD-241", "EGD-501"),
            explains_refs=refs,
        )


def _used(snapshot: Snapshot) -> dict[Ref, list[Ref]]:
    used: dict[Ref, list[Ref]] = {}
    for use in our_backends(snapshot) if snapshot.all(BACKEND) else ():
        if use.backend.ref and use.backend.ref.kind == BACKEND:
            used.setdefault(use.backend.ref, []).append(use.route.ref)
    return used


def _refused(backend: Resource) -> Condition | None:
    """Return the condition that refuses it; a failure's type is `Invalid` in most releases."""
    found = conditions.failed(backend.status, "Invalid")
    return found or conditions.failed(backend.status, "Accepted")


def _fault(backend: Resource, snapshot: Snapshot, *, is_used: bool) -> tuple[Path, str, str]:
    """Return where and what is wrong with it, and what to do, as far as the objects tell."""
    known = [install for install in installs(snapshot) if install.config]
    if is_used and known and not any(install.extension_api("enableBackend") for install in known):
        place = f"ConfigMap {known[0].namespace}/envoy-gateway-config"
        return (
            ("spec",),
            "the Backend API is not enabled",
            f"set extensionApis.enableBackend: true in {place}",
        )
    kinds = set()
    on_host = any(text(i.config, "provider", "type") == "Custom" for i in known)
    for index, endpoint in items(backend.spec, "endpoints"):
        kinds |= {kind for kind in ("ip", "fqdn", "unix") if section(endpoint, kind)}
        address = text(endpoint, "ip", "address")
        host = text(endpoint, "fqdn", "hostname").lower()
        if host and "." not in host.rstrip("."):
            return (
                ("spec", "endpoints", index),
                f"the host name {host} has no domain",
                f"write it in full, as {host}.<namespace>.svc.cluster.local or with its domain",
            )
        if not on_host and (_is_loopback(address) or f".{host}".endswith(".localhost")):
            return (
                ("spec", "endpoints", index),
                f"the endpoint {address or host} is the proxy itself",
                "name an address outside the proxy's pod",
            )
    if "fqdn" in kinds and len(kinds) > 1:
        return (
            ("spec", "endpoints"),
            "host name endpoints are mixed with others",
            "make one Backend of the host names and one of the other endpoints",
        )
    return (), "", ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
