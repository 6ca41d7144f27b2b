"""EGU-1321 ipv6-listener-lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, SERVICE, fleet_key, is_proxy
from egops.rules import rule
from egops.snapshot import entries, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1321",
    severity=Severity.WARNING,
    optional=(*CORE, ENVOY_PROXY, SERVICE),
    since="0.1",
    changed_in=(1, 2, 3),
    link=notes_link((1, 2, 3)),
    ok="no listener loses its IPv6 address",
)
def ipv6_listener_lost(snapshot: Snapshot) -> Iterator[Problem]:
    """Listeners that 1.2.2 opened for IPv6 as well are IPv4 only again.

    ## Why it matters
    1.2.2 alone listened on `::`, which takes both. Before and after it the address is `0.0.0.0`
    unless the EnvoyProxy sets `ipFamily`: IPv6 clients can't connect any more.

    ## How to fix it
    Set `ipFamily: DualStack` in the EnvoyProxy.
    """
    if upgrade_of(snapshot).from_version != (1, 2, 2):
        return
    joined = world(snapshot)
    families = {
        fleet_key(service): entries(service.spec, "ipFamilies")
        for service in snapshot.all(SERVICE)
        if is_proxy(service)
    }
    for gateway in joined.gateways:
        proxy = joined.proxy_of(gateway)
        if proxy is not None and text(proxy.spec, "ipFamily"):
            continue
        known = families.get(f"{gateway.namespace}/{gateway.name}")
        if known is not None and "IPv6" not in known:
            continue
        yield change(
            snapshot,
            gateway.at(),
            "the listeners are no longer open for IPv6",
            today="1.2.2 listens on :: and takes IPv4 and IPv6",
            after="they listen on 0.0.0.0",
            keep=("set spec.ipFamily: DualStack in the EnvoyProxy",),
            verify="curl -6 the Gateway's address",
            severity=Severity.WARNING if known else Severity.INFO,
            possible="" if known else "certain if the Gateway's Service has IPv6",
        )
