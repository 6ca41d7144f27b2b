"""EGD-305 tls-port-without-tls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import ports, service_port
from egops.finding import Confidence, Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    SERVICE,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    ObjectRef,
    our_backends,
)
from egops.policies import policies_on
from egops.rules import rule
from egops.snapshot import entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot

TLS_PORTS = {443, 8443}
TLS_PROTOCOLS = {"https", "tls", "kubernetes.io/wss"}
PLAIN_PROTOCOLS = {"http", "kubernetes.io/h2c", "kubernetes.io/ws", "grpc", "tcp"}


@rule(
    code="EGD-305",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE, GATEWAY, SERVICE, BACKEND_TLS_POLICY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE, BACKEND),
    since="0.1",
    ok="every backend port that looks like TLS is spoken to with TLS",
)
def tls_port_without_tls(snapshot: Snapshot) -> Iterator[Problem]:
    """A backend port looks like TLS, and Envoy speaks plain HTTP to it.

    ## Why it matters
    Neither the port number nor `appProtocol: https` makes Envoy use TLS. An HTTPS server answers
    plain requests with 400 ("The plain HTTP request was sent to HTTPS port") or closes the
    connection (503).

    ## How to fix it
    Create a BackendTLSPolicy for the Service, whose `sectionName` is the name of the Service port
    (not its number), or set `tls` on the Backend. If the port does speak plain HTTP, say so with
    `appProtocol: http`, or name the port `http`.
    """
    told = set()
    for use in our_backends(snapshot):
        backend = use.backend
        if use.route.kind not in (HTTP_ROUTE, GRPC_ROUTE) or use.is_mirror:
            continue
        if backend.ref is None or (backend.ref, backend.port) in told:
            continue
        told.add((backend.ref, backend.port))
        found = snapshot.get(backend.ref)
        if found is not None and (problem := _problem(backend, found, snapshot)):
            yield problem


def _problem(backend: ObjectRef, found: Resource, snapshot: Snapshot) -> Problem | None:
    policies = policies_on(snapshot, BACKEND_TLS_POLICY).get(found.ref, [])
    if found.kind == BACKEND:
        return _backend_problem(backend, found, policies)
    port = service_port(found, backend)
    if found.kind != SERVICE or port is None or not (why := _looks_like_tls(port)):
        return None
    name = text(port, "name")
    sections = {section_name for _, section_name in policies}
    if {"", name} & sections:
        return None
    wrong = ", ".join(sorted(sections))
    index = next(i for i, other in items(found.spec, "ports") if other is port)
    return Problem(
        found.at("spec", "ports", index),
        f"{why}, and no BackendTLSPolicy makes Envoy speak TLS to it",
        evidence=(
            f"used by {backend.entry.resource.ref}",
            f"BackendTLSPolicies of {found.ref}: "
            + (f"for sectionName {wrong} only" if policies else "none"),
        ),
        remedy=(
            f"create a BackendTLSPolicy in {found.namespace} with targetRefs: [{{group: "
            f'"", kind: Service, name: {found.name}'
            + (f", sectionName: {name}" if name and len(ports(found)) > 1 else "")
            + "}] and the CA and hostname of the backend's certificate",
            f"if it speaks plain HTTP, set appProtocol: http on port {number(port, 'port')}",
        ),
        confidence=Confidence.HIGH if text(port, "appProtocol") else Confidence.MEDIUM,
        related=(backend.entry.at(),),
    )


def _looks_like_tls(port: Mapping[str, Any]) -> str:
    """Return why a Service port looks like TLS, or nothing; what it says of itself decides."""
    protocol, name = text(port, "appProtocol").lower(), text(port, "name").lower()
    if protocol in TLS_PROTOCOLS:
        return f"port {number(port, 'port')} says appProtocol {protocol}"
    if protocol in PLAIN_PROTOCOLS:
        return ""
    if name == "https" or name.startswith("https-") or name.endswith("-https"):
        return f"port {number(port, 'port')} is named {name}"
    if name == "http" or name.startswith(("http-", "http2", "grpc", "h2c", "ws")):
        return ""
    if {number(port, "port"), number(port, "targetPort")} & TLS_PORTS:
        return f"port {number(port, 'port')} is a usual port of TLS"
    return ""


def _backend_problem(
    backend: ObjectRef, found: Resource, policies: list[tuple[Resource, str]]
) -> Problem | None:
    if section(found.spec, "tls") or policies:
        return None
    protocols = {str(entry) for entry in entries(found.spec, "appProtocols")}
    if protocols & PLAIN_PROTOCOLS:
        return None
    for index, endpoint in items(found.spec, "endpoints"):
        port = number(endpoint, "fqdn", "port") or number(endpoint, "ip", "port")
        if port in TLS_PORTS:
            return Problem(
                found.at("spec", "endpoints", index),
                f"port {port} is a usual port of TLS, and the Backend has no tls",
                evidence=(f"used by {backend.entry.resource.ref}",),
                remedy=(
                    "set spec.tls of the Backend (wellKnownCACertificates: System, or "
                    "caCertificateRefs), or target it with a BackendTLSPolicy",
                ),
                confidence=Confidence.MEDIUM,
                related=(backend.entry.at(),),
            )
    return None
