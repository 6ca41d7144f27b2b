"""EGD-223 gateway-without-fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import CannotJudge, Problem, Severity
from egops.fleets import envoy_proxies_of, fleet_of
from egops.gatewayapi import (
    DAEMON_SET,
    DEPLOYMENT,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    OURS,
    POD,
    SERVICE,
    condition,
    installs,
    is_young,
    our_gateways,
)
from egops.listeners import listeners_of
from egops.rules import rule
from egops.snapshot import SourceType, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-223",
    severity=Severity.ERROR,
    reads=(GATEWAY, GATEWAY_CLASS, DEPLOYMENT, DAEMON_SET),
    optional=(*OURS, ENVOY_PROXY, SERVICE, POD),
    since="0.1",
    ok="every Gateway has a Deployment or DaemonSet of proxies",
)
def gateway_without_fleet(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway has no proxies: neither a Deployment nor a DaemonSet was made for it.

    ## Why it matters
    Nobody serves the Gateway. Envoy Gateway makes no fleet while every listener of the Gateway is
    invalid ("no listeners were found. Skipping infra creation"), while its EnvoyProxy is invalid,
    without the permission to create it, or while no replica is the leader.

    ## How to fix it
    Repair the listeners, then the EnvoyProxy; then look at the control plane's permissions and
    its leader lease.
    """
    if snapshot.source.type is not SourceType.CLUSTER:
        raise CannotJudge("files need not hold what Envoy Gateway makes")
    if all(_is_elsewhere(install.config) for install in installs(snapshot)):
        raise CannotJudge("proxies do not run in Kubernetes here, or no Envoy Gateway was found")
    for gateway in our_gateways(snapshot):
        if is_young(gateway, snapshot) or "deletionTimestamp" in gateway.metadata:
            continue
        if not _is_class_accepted(gateway, snapshot) or fleet_of(gateway, snapshot).workloads:
            continue
        broken = dict(_broken(gateway))
        every = bool(broken) and len(broken) == len(list(listeners_of(gateway, gateway)))
        yield Problem(
            gateway.at(),
            "no Deployment or DaemonSet of proxies exists for it"
            + (": all its listeners are invalid" if every else ""),
            evidence=(
                *conditions.told_all(gateway.status),
                *(f"listener {name}: {told}" for name, told in broken.items()),
                *(str(proxy.ref) for proxy in envoy_proxies_of(gateway, snapshot)),
            ),
            remedy=tuple(f"repair listener {name}: {told}" for name, told in broken.items())
            or (
                "repair the EnvoyProxy if it is refused, else look at the log of Envoy Gateway for "
                "failed creations, and at its leader lease",
            ),
            explains=("EGD-206", "EGD-207", "EGD-208"),
            explains_refs=(str(gateway.ref),),
        )


def _is_elsewhere(config: object) -> bool:
    return text(config, "provider", "type") not in ("", "Kubernetes")


def _is_class_accepted(gateway: Resource, snapshot: Snapshot) -> bool:
    found = snapshot.find(GATEWAY_CLASS, "", text(gateway.spec, "gatewayClassName"))
    accepted = condition(found.status, "Accepted") if found else None
    return accepted is not None and accepted.is_true


def _broken(gateway: Resource) -> Iterator[tuple[str, str]]:
    for listener in listeners_of(gateway, gateway):
        if conditions.failed(listener.status, "Programmed"):
            yield listener.name, "; ".join(conditions.told_all(listener.status))
