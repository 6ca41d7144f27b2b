"""EGU-1501 fleet-renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("provider", "kubernetes", "deploy", "type")


@rule(
    code="EGU-1501",
    severity=Severity.ERROR,
    reads=(ENVOY_GATEWAY,),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="proxies do not live next to their Gateways",
)
def fleet_renamed(snapshot: Snapshot) -> Iterator[Problem]:
    """In mode GatewayNamespace the proxies get the name of their Gateway.

    ## Why it matters
    A new Deployment and a new Service replace the old ones: the load balancer gets another address,
    and the old one is given back.

    ## How to fix it
    Plan the change of address (DNS, static address), or keep the name of the Service with
    `envoyService.name` in the EnvoyProxy.
    """
    upgrade_of(snapshot)
    for config in snapshot.all(ENVOY_GATEWAY):
        if text(config.body, *PATH) == "GatewayNamespace":
            yield change(
                snapshot,
                config.at(*PATH),
                "every fleet is made anew under the name of its Gateway",
                today="the name has the form envoy-<namespace>-<gateway>-<hash>",
                after="it is the name of the Gateway: new Deployment, Service and address",
                keep=("set provider.kubernetes.envoyService.name in each EnvoyProxy",),
                verify="the address in the status of each Gateway",
            )
