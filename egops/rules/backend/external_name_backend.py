"""EGD-302 external-name-backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    SERVICE,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    our_backends,
    running_version,
)
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-302",
    severity=Severity.ERROR,
    reads=(SERVICE, HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="no route sends traffic to a Service of type ExternalName",
)
def external_name_backend(snapshot: Snapshot) -> Iterator[Problem]:
    """A route sends traffic to a Service of type ExternalName.

    ## Why it matters
    Such a Service has neither endpoints nor a cluster IP, so Envoy gets no address for it and the
    requests fail. Before Envoy Gateway 1.7.5, and in 1.8.0 and 1.8.1, one such backend also stops
    the delivery of all configuration to the proxies.

    ## How to fix it
    Use a `Backend` with an `fqdn` endpoint; the Backend API must be enabled in the EnvoyGateway
    configuration (`extensionApis.enableBackend: true`).
    """
    frozen = _freezes(running_version(snapshot))
    outside = {
        service.ref: service
        for service in snapshot.all(SERVICE)
        if text(service.spec, "type") == "ExternalName"
    }
    for use in our_backends(snapshot) if outside else ():
        backend = use.backend
        service = outside.get(backend.ref) if backend.ref else None
        if service is not None:
            host = text(service.spec, "externalName")
            yield Problem(
                backend.entry.at("name"),
                f"{backend} is of type ExternalName ({host})"
                + (", which freezes all delivery of configuration" if frozen else ""),
                evidence=(f"{service.ref}: externalName {host}",),
                why="the Service has no endpoints for Envoy",
                remedy=(
                    f"create a {BACKEND.name} with the fqdn endpoint {host} and refer to that",
                    "set extensionApis.enableBackend: true in the EnvoyGateway configuration",
                ),
                related=(service.at("spec", "type"),),
                explains=("EGD-300", "EGD-142") if frozen else ("EGD-300",),
                explains_refs=() if frozen else (str(service.ref),),
            )


def _freezes(version: tuple[int, ...] | None) -> bool:
    """Return whether this release stops delivering configuration over such a backend."""
    if version is None:
        return False
    return version < (1, 7, 5) or (1, 8, 0) <= version < (1, 8, 2)
