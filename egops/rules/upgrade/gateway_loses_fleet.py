"""EGU-1306 gateway-loses-fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import EG, ENVOY_PROXY, GATEWAY, GATEWAY_CLASS
from egops.rules import rule
from egops.snapshot import SourceType, section, text
from egops.upgrade.bootstrap import bootstrap_error
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.envoyproxy import faults
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Resource, Snapshot

REF = ("spec", "infrastructure", "parametersRef")


@rule(
    code="EGU-1306",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*(kind for kind in CORE if kind != GATEWAY), GATEWAY_CLASS, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every Gateway's own EnvoyProxy exists and is valid",
)
def gateway_loses_fleet(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway with a bad EnvoyProxy reference fell back to defaults and now loses its proxies.

    ## Why it matters
    From 1.3 on such a Gateway is not accepted and left out: its Deployment and Service are deleted,
    and the load balancer gives its address back.

    ## How to fix it
    Correct the EnvoyProxy or the reference before the upgrade, or drop the reference.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for gateway in joined.gateways:
        reference = section(gateway.spec, "infrastructure").get("parametersRef")
        if not isinstance(reference, dict):
            continue
        for at, reason, possible in _reasons(joined, gateway, reference):
            yield change(
                snapshot,
                at,
                f"Gateway {gateway.namespace}/{gateway.name} loses its proxies: {reason}",
                today="the problem is logged, the GatewayClass' EnvoyProxy or the defaults count",
                after="the Gateway is Accepted=False, its Deployment and Service are deleted",
                keep=("correct the EnvoyProxy or the reference first", "or drop the reference"),
                verify="the Gateway is Accepted=True, its Service has the same UID and address",
                severity=Severity.WARNING if possible else Severity.ERROR,
                possible=possible,
                related=(gateway.at(*REF),),
                fix_patch=patch(gateway, REF) if at.ref == gateway.ref else "",
            )
            break


def _reasons(
    joined: World, gateway: Resource, reference: dict[str, object]
) -> Iterator[tuple[Location, str, str]]:
    name = text(reference, "name")
    if joined.is_merged(gateway):
        yield gateway.at(*REF), "its class merges Gateways, parameters of its own are refused", ""
        return
    if text(reference, "group") != EG or text(reference, "kind") != ENVOY_PROXY.name:
        kind = f"{text(reference, 'group')}/{text(reference, 'kind')}"
        yield gateway.at(*REF), f"its parametersRef names a {kind}, no EnvoyProxy", ""
        return
    proxy = joined.snapshot.find(ENVOY_PROXY, gateway.namespace, name)
    if proxy is None:
        here = f"EnvoyProxy {gateway.namespace}/{name}"
        yield gateway.at(*REF, "name"), f"{here} does not exist", _doubt(joined.snapshot, here)
        return
    for fault in faults(proxy):
        yield proxy.at(*fault.path), fault.reason, ""
    error = bootstrap_error(proxy)
    if error:
        yield proxy.at("spec", "bootstrap"), error, ""


def _doubt(snapshot: Snapshot, label: str) -> str:
    if snapshot.source.type is SourceType.CLUSTER or snapshot.knows(ENVOY_PROXY):
        return ""
    return f"certain if {label} is in no other file either"
