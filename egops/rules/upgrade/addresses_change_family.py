"""EGU-1211 addresses-change-family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.dnsfamily import prefers_ipv4
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

ALONE = (1, 2, 2)


@rule(
    code="EGU-1211",
    severity=Severity.WARNING,
    optional=(*CORE, ENVOY_PROXY, BACKEND),
    since="0.1",
    changed_in=((1, 2, 2),),
    link=notes_link((1, 2, 2)),
    ok="no listener and no name changes its address family",
)
def addresses_change_family(snapshot: Snapshot) -> Iterator[Problem]:
    """Patches of 1.2 change the address family of listeners and of DNS.

    ## Why it matters
    1.2.2 alone listens on `::` for both families: where nodes have IPv6 disabled, the proxies can't
    bind. From 1.2.2 on names without an IPv4 address are resolved to IPv6.

    ## How to fix it
    Go to 1.2.3 or later; set `ipFamily` in the EnvoyProxy as you need it.
    """
    step = upgrade_of(snapshot)
    if step.to_version < (1, 3):
        yield from prefers_ipv4(snapshot)
    joined = world(snapshot)
    for gateway in joined.gateways if step.to_version == ALONE else ():
        proxy = joined.proxy_of(gateway)
        if proxy is None or text(proxy.spec, "ipFamily") not in ("IPv6", "DualStack"):
            yield change(
                snapshot,
                gateway.at(),
                "the listeners are opened on :: for both address families",
                today="they listen on 0.0.0.0",
                after="1.2.2 listens on :: with ipv4_compat, the releases after it do not",
                keep=("go to 1.2.3 or later",),
                verify="the addresses of the listeners in /config_dump",
                possible="certain where IPv6 is disabled on the nodes",
            )
