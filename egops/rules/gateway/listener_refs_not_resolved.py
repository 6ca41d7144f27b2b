"""EGD-211 listener-refs-not-resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.attachment import routes_refused_by
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    Condition,
)
from egops.listeners import Listener, every_listener
from egops.rules import rule
from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot

PARTIAL = "PartiallyInvalidCertificateRef"


@rule(
    code="EGD-211",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*OURS, HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="every reference of every listener resolves",
)
def listener_refs_not_resolved(snapshot: Snapshot) -> Iterator[Problem]:
    """A listener refers to a certificate or a route kind that can't be used.

    ## Why it matters
    The listener is not programmed: its port does not answer, or answers without the host. If it
    is the only listener of the Gateway, no proxies are made at all.

    ## How to fix it
    Create or repair the Secret or CA that `certificateRefs` names, add the ReferenceGrant in its
    namespace, or correct `allowedRoutes.kinds`.
    """
    for listener in every_listener(snapshot):
        found = conditions.failed(listener.status, "ResolvedRefs")
        if found is None or found.reason == PARTIAL:
            continue
        yield Problem(
            listener.at(*_path(listener, found)),
            f"listener {listener}: {found.reason}",
            evidence=conditions.told_all(listener.status),
            why=found.message,
            remedy=(_remedy(listener, found),),
            severity=conditions.severity(found, listener.owner, Severity.ERROR),
            settled=found.has_settled(listener.owner, snapshot),
            explains=("EGD-204", "EGD-205", "EGD-223", "EGD-240", "EGD-445"),
            explains_refs=(
                str(listener.owner.ref),
                str(listener.gateway.ref),
                *routes_refused_by(listener, snapshot),
            ),
        )


def _path(listener: Listener, found: Condition) -> Path:
    if found.reason == "InvalidRouteKinds":
        return ("allowedRoutes", "kinds")
    return ("tls", "certificateRefs") if "tls" in listener.spec else ()


def _remedy(listener: Listener, found: Condition) -> str:
    names = ", ".join(
        f"{text(ref, 'namespace') or listener.owner.namespace}/{text(ref, 'name')}"
        for _, ref in items(listener.spec, "tls", "certificateRefs")
    )
    match found.reason:
        case "RefNotPermitted":
            return (
                f"create a ReferenceGrant in the namespace of Secret {names}, from "
                f"{listener.owner.kind} in {listener.owner.namespace} to Secret"
            )
        case "InvalidRouteKinds":
            return f"correct allowedRoutes.kinds: protocol {listener.protocol} does not take them"
        case "InvalidCertificateRef":
            return f"create or repair Secret {names}: {found.message}"
        case _:
            return f"repair what the condition names: {found.message or found.reason}"
