"""EGD-208 gateway-address-stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.addresses import assigned, service_type
from egops.finding import Problem, Severity
from egops.fleets import fleet_of, has_external_dns
from egops.gatewayapi import (
    DAEMON_SET,
    GATEWAY,
    OURS,
    POD,
    SERVICE,
    our_gateways,
    running_version,
)
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-208",
    severity=Severity.WARNING,
    reads=(GATEWAY, SERVICE),
    optional=(*OURS, DAEMON_SET, POD),
    since="0.1",
    ok="no Gateway says that it has no address while its Service has one",
)
def gateway_address_stale(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway says that it has no address, although its Service has one.

    ## Why it matters
    The status is stale: clients that know the address are served, but whoever reads the Gateway
    (external-dns, operators, pipelines) sees none, and external-dns removes the DNS records.
    Envoy Gateway before 1.7.4 and 1.8.0 get stuck so after the load balancer's address was gone
    for a while.

    ## How to fix it
    Touch the Service (an annotation is enough) so that Envoy Gateway looks again, or restart it;
    upgrade to a release with the fix.
    """
    version = running_version(snapshot)
    for gateway in our_gateways(snapshot):
        found = conditions.failed(gateway.status, "Programmed")
        if found is None or found.reason != "AddressNotAssigned":
            continue
        for service in fleet_of(gateway, snapshot).services:
            addresses = assigned(service, version)
            if not addresses:
                continue
            shown = ", ".join(addresses)
            dns = has_external_dns(snapshot)
            yield Problem(
                gateway.at(),
                f"its Service {service.namespace}/{service.name} has the address {shown}",
                evidence=(
                    conditions.told(found),
                    f"{service.ref}: type {service_type(service)}, address {shown}",
                    f"version: {'.'.join(map(str, version)) if version else 'unknown'}",
                ),
                why="the Gateway's status is stale"
                + ("; external-dns runs here and follows it" if dns else ""),
                remedy=(
                    f"kubectl -n {service.namespace} annotate service {service.name} "
                    "egops.dev/touched=1 --overwrite",
                    "if that does not help, restart the deployment envoy-gateway",
                    "upgrade to 1.7.4, 1.8.1 or later",
                ),
                severity=conditions.severity(found, gateway, Severity.WARNING),
                settled=found.has_settled(gateway, snapshot),
                related=(service.at("status"),),
            )
            break
