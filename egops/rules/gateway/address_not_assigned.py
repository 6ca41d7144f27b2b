"""EGD-207 address-not-assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.addresses import assigned, service_type
from egops.finding import Problem, Severity
from egops.fleets import Fleet, fleet_of
from egops.gatewayapi import (
    DAEMON_SET,
    EVENT,
    GATEWAY,
    OURS,
    POD,
    SERVICE,
    our_gateways,
    running_version,
)
from egops.rules import rule
from egops.snapshot import entries, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Condition
    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-207",
    severity=Severity.WARNING,
    reads=(GATEWAY, SERVICE),
    optional=(*OURS, DAEMON_SET, POD, EVENT),
    since="0.1",
    ok="every Gateway has an address",
)
def address_not_assigned(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway gets no address, because its Service has none.

    ## Why it matters
    The Gateway stays `Programmed=False` and outside clients have nowhere to connect to. The data
    plane itself is often fine: a port-forward and clients inside the cluster reach it. On kind and
    on bare metal this is the normal state as long as nothing serves `type: LoadBalancer`.

    ## How to fix it
    Install or repair a load balancer controller, or let the EnvoyProxy make the Service a
    ClusterIP or NodePort, or give it `externalIPs`.
    """
    for gateway in our_gateways(snapshot):
        found = conditions.failed(gateway.status, "Programmed")
        if found is None or found.reason != "AddressNotAssigned":
            continue
        fleet = fleet_of(gateway, snapshot)
        if any(assigned(service, running_version(snapshot)) for service in fleet.services):
            continue  # gateway-address-stale says so
        yield _problem(gateway, found, fleet, snapshot)


def _problem(gateway: Resource, found: Condition, fleet: Fleet, snapshot: Snapshot) -> Problem:
    service = fleet.services[0] if fleet.services else None
    remedy: tuple[str, ...]
    if service is None:
        message = "no Service of its fleet exists"
        remedy = ("see why the fleet is not made",)
    else:
        kind = service_type(service)
        external = entries(service.spec, "externalIPs")
        message = f"its Service {service.namespace}/{service.name} of type {kind} has no address"
        remedy = (
            "install or repair a load balancer controller (cloud controller, MetalLB, …)",
            "or set provider.kubernetes.envoyService.type of the EnvoyProxy to NodePort or "
            "ClusterIP",
        )
        if external:
            remedy = ("upgrade to 1.7.5, 1.8.2 or later, which take externalIPs as addresses",)
    return Problem(
        gateway.at(),
        message,
        evidence=(
            conditions.told(found),
            f"data plane: {fleet}",
            *(_events(service, snapshot) if service else ()),
        ),
        why="in-cluster traffic may still work"
        if fleet.available
        else "no proxy is available either",
        remedy=remedy,
        severity=conditions.severity(found, gateway, Severity.WARNING),
        settled=found.has_settled(gateway, snapshot),
        related=(service.at("spec", "type"),) if service else (),
    )


def _events(service: Resource, snapshot: Snapshot) -> Iterator[str]:
    shown = 0
    for event in snapshot.all(EVENT):
        about = event.body.get("involvedObject")
        if (text(about, "kind"), text(about, "name")) != ("Service", service.name):
            continue
        if event.namespace == service.namespace and text(event.body, "type") != "Normal":
            shown += 1
            if shown <= 3:
                yield f"event {text(event.body, 'reason')}: {text(event.body, 'message')}"
