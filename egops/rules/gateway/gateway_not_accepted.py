"""EGD-204 gateway-not-accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.fleets import envoy_proxies_of, fleet_of, has_external_dns
from egops.gatewayapi import (
    DAEMON_SET,
    ENVOY_PROXY,
    GATEWAY,
    OURS,
    POD,
    SERVICE,
    Condition,
    our_gateways,
    running_version,
)
from egops.rules import rule
from egops.rules.gateway.gateway_class_not_accepted import parameters_fault
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-204",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*OURS, DAEMON_SET, ENVOY_PROXY, POD, SERVICE),
    since="0.1",
    ok="every Gateway is accepted",
)
def gateway_not_accepted(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy Gateway does not accept a Gateway.

    ## Why it matters
    Nothing of the Gateway is translated any more. From Envoy Gateway 1.3 on an invalid EnvoyProxy
    keeps the fleet from being made and can take an existing one away: with it goes the load
    balancer's address, and external-dns then deletes the DNS records.

    ## How to fix it
    Repair the EnvoyProxy first: its existence, its fields, and the backendRefs of its access
    logs, metrics and tracing. Otherwise repair what the condition names.
    """
    for gateway in our_gateways(snapshot):
        refused = conditions.failed(gateway.status, "Accepted")
        # client certificates for backends and CAs of clients, from 1.9 on
        refused = refused or conditions.failed(gateway.status, "ResolvedRefs")
        ref = section(gateway.spec, "infrastructure", "parametersRef")
        path, fault, remedy = parameters_fault(gateway, ref, snapshot, gateway.namespace)
        if refused is None and not fault:
            continue
        place = gateway.at("spec", "infrastructure", "parametersRef", *path)
        yield Problem(
            place if fault else gateway.at(),
            fault or (f"{_what(refused)}: {refused.reason}" if refused else ""),
            evidence=tuple(_evidence(gateway, refused, snapshot)),
            why=refused.message if refused else "",
            remedy=tuple(_remedy(gateway, refused, remedy, snapshot)),
            severity=conditions.severity(refused, gateway, Severity.ERROR) if refused else None,
            settled=refused.has_settled(gateway, snapshot) if refused else True,
            explains=("EGD-205", "EGD-206", "EGD-207", "EGD-208", "EGD-223", "EGD-446"),
            explains_refs=(str(gateway.ref),),
        )


def _what(refused: Condition) -> str:
    return "is not accepted" if refused.type == "Accepted" else "has references that do not resolve"


def _evidence(gateway: Resource, refused: Condition | None, snapshot: Snapshot) -> Iterator[str]:
    if refused:
        yield conditions.told(refused)
    for proxy in envoy_proxies_of(gateway, snapshot):
        for _, ancestor in items(proxy.status, "ancestors"):
            for found in conditions.told_all(ancestor):
                yield f"{proxy.ref}: {found}"
    for _, listener in items(gateway.status, "listeners"):
        if invalid := conditions.failed(listener, "Accepted"):
            yield f"listener {text(listener, 'name')}: {conditions.told(invalid)}"
    fleet = fleet_of(gateway, snapshot)
    yield f"fleet: {fleet}" if fleet.workloads else "fleet: none exists"


def _remedy(
    gateway: Resource, refused: Condition | None, remedy: str, snapshot: Snapshot
) -> Iterator[str]:
    if has_external_dns(snapshot):
        yield "pause external-dns first: it deletes the records of a Gateway that loses its address"
    if remedy:
        yield remedy
    elif refused and refused.reason == "InvalidParameters":
        names = ", ".join(str(proxy.ref) for proxy in envoy_proxies_of(gateway, snapshot))
        yield f"repair {names or 'the EnvoyProxy'}: {refused.message}"
    elif refused and refused.reason == "ListenersNotValid":
        yield "repair the listeners: none of them is valid"
    elif refused:
        yield f"repair what the condition names: {refused.message or refused.reason}"
    version = running_version(snapshot)
    if version is None or version >= (1, 3):
        yield "do not restart the control plane before: it can take the fleet and its address away"
