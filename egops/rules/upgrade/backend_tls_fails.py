"""EGU-1307 backend-tls-fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    TLS_ROUTE,
    backend_refs,
    mirror_refs,
)
from egops.rules import rule
from egops.upgrade.backends import KINDS as BACKEND_KINDS
from egops.upgrade.backends import fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.tlspolicy import (
    KINDS,
    TLSFault,
    client_certificate_fault,
    policy_fault,
    policy_of,
)
from egops.upgrade.world import ROUTES, Attachment, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Snapshot


@rule(
    code="EGU-1307",
    severity=Severity.ERROR,
    reads=(BACKEND_TLS_POLICY,),
    optional=(*ROUTES, *BACKEND_KINDS, *(kind for kind in KINDS if kind != BACKEND_TLS_POLICY)),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every BackendTLSPolicy finds its CA and the client certificate",
)
def backend_tls_fails(snapshot: Snapshot) -> Iterator[Problem]:
    """A BackendTLSPolicy with an error meant plaintext to the backend and now fails requests.

    ## Why it matters
    Up to 1.2 the proxy spoke plaintext (or left the client certificate out), and the status alone
    told. From 1.3 on an HTTPRoute rule with the backend answers 500, a GRPCRoute and a TLSRoute
    lose the backend, a TCPRoute and a UDPRoute are not programmed.

    ## How to fix it
    Give the policy a ConfigMap or Secret with `ca.crt` in its own namespace, and the EnvoyProxy a
    client certificate in its own. If plaintext was what worked, delete the policy.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    found: dict[tuple[str, str], tuple[TLSFault, list[str], set[str]]] = {}
    for attachment in joined.routes():
        for ref in (*backend_refs(attachment.route), *mirror_refs(attachment.route)):
            fault = _fault(joined, attachment, ref)
            if fault is None:
                continue
            key = (str(fault.at.ref), fault.reason)
            _, names, kinds = found.setdefault(key, (fault, [], set()))
            names.append(_name(attachment, ref))
            kinds.add(attachment.route.kind.name)
    for fault, names, kinds in found.values():
        before = "plaintext to the backend" if fault.is_plaintext else "no client certificate"
        yield change(
            snapshot,
            fault.at,
            f"TLS to {len(set(names))} backend(s) can't be set up: {fault.reason}",
            evidence=tuple(f"used by {name}" for name in dict.fromkeys(names[:5])),
            today=f"the proxy sends {before}, the policy's status alone tells",
            after=_effect(kinds),
            keep=("put the CA (key ca.crt) or the Secret where the reference expects it",),
            verify="curl the route; cluster.NAME.ssl.handshake grows",
            severity=Severity.WARNING if fault.possible else Severity.ERROR,
            possible=fault.possible,
        )


def _fault(joined: World, attachment: Attachment, ref: ObjectRef) -> TLSFault | None:
    if fault_of(joined, ref, attachment.route) or ref.entry.body.get("weight") == 0:
        return None
    policy = policy_of(joined, ref)
    if policy is None:
        return None
    fault = policy_fault(joined.snapshot, policy)
    if fault is not None:
        return fault
    for gateway in attachment.gateways:
        fault = client_certificate_fault(joined.snapshot, joined.proxy_of(gateway))
        if fault is not None:
            return fault
    return None


def _name(attachment: Attachment, ref: ObjectRef) -> str:
    route = attachment.route
    return f"{route.kind.name} {route.namespace}/{route.name}, {ref}"


def _effect(kinds: set[str]) -> str:
    effects = {
        HTTP_ROUTE.name: "the whole HTTPRoute rule answers 500",
        GRPC_ROUTE.name: "the GRPCRoute loses the backend, and answers 500 if none is left",
        TLS_ROUTE.name: "the TLSRoute loses the backend",
    }
    said = [effects.get(kind, f"the {kind} is not programmed") for kind in sorted(kinds)]
    return "; ".join(said)
