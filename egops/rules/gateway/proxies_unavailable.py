"""EGD-206 proxies-unavailable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.fleets import fleet_evidence, fleet_of, pod_trouble
from egops.gatewayapi import DAEMON_SET, GATEWAY, OURS, POD, SERVICE, our_gateways
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-206",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*OURS, DAEMON_SET, SERVICE, POD),
    since="0.1",
    ok="every Gateway with an address has available proxies",
)
def proxies_unavailable(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway has an address, but none of its proxies is available.

    ## Why it matters
    `Programmed=False` with the reason `NoResources` means that nobody answers: connections to the
    Gateway's address time out or are refused.

    ## How to fix it
    Follow what the first failing pod says: scheduling, image, crash or readiness.
    """
    for gateway in our_gateways(snapshot):
        found = conditions.failed(gateway.status, "Programmed")
        if found is None or found.reason != "NoResources":
            continue
        fleet = fleet_of(gateway, snapshot)
        troubles = [(pod, trouble) for pod in fleet.pods if (trouble := pod_trouble(pod))]
        if fleet.available and not troubles:
            continue  # the status is behind: the proxies are there
        yield Problem(
            gateway.at(),
            f"no proxy is available ({fleet})",
            evidence=(conditions.told(found), *fleet_evidence(fleet)),
            why=troubles[0][1] if troubles else found.message,
            remedy=(f"repair {troubles[0][0].ref}: {troubles[0][1]}",)
            if troubles
            else ("look at the events of the fleet's Deployment: no pod exists",),
            severity=conditions.severity(found, gateway, Severity.ERROR),
            settled=found.has_settled(gateway, snapshot),
        )
