"""EGU-1532 datagram-listener-takes-both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1532",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no UDP listener is dual stack",
)
def datagram_listener_takes_both(snapshot: Snapshot) -> Iterator[Problem]:
    """A UDP listener of a dual-stack proxy takes IPv4 as well.

    ## Why it matters
    Its socket on `::` lacked `ipv4_compat`: IPv4 packets were lost.

    ## How to fix it
    Nothing is to be done.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for proxy, gateways in joined.used_proxies.values():
        ports = [
            listener.port
            for gateway in gateways
            for listener in joined.listeners_of(gateway)
            if listener.protocol == "UDP"
        ]
        if text(proxy.spec, "ipFamily") == "DualStack" and ports:
            yield change(
                snapshot,
                proxy.at("spec", "ipFamily"),
                f"UDP port(s) {', '.join(map(str, ports))} take IPv4 as well",
                today="the socket takes IPv6 alone",
                after="ipv4_compat is set",
            )
