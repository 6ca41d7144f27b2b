"""EGU-1405 overlap-loses-http2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY, GATEWAY, GRPC_ROUTE
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, meet, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot
    from egops.upgrade.world import Listener


@rule(
    code="EGU-1405",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(
        *ROUTES,
        ENVOY_PROXY,
        CLIENT_TRAFFIC_POLICY,
    ),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no HTTPS listeners on one port overlap in their hostnames",
)
def overlap_loses_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """HTTPS listeners on one port with overlapping hostnames fall back to HTTP/1.1.

    ## Why it matters
    Such listeners get the condition `OverlappingTLSConfig` and no longer offer HTTP/2: gRPC over
    TLS fails.

    ## How to fix it
    Set `tls.alpnProtocols` in a ClientTrafficPolicy (counts from 1.4.1 on), or give the listeners
    ports of their own.
    """
    step = upgrade_of(snapshot)
    joined = world(snapshot)
    for gateway in joined.gateways:
        https = [one for one in joined.listeners_of(gateway) if one.protocol == "HTTPS"]
        for one in https:
            others = [other for other in https if _overlap(one, other)]
            policy = joined.listener_policy(CLIENT_TRAFFIC_POLICY, one)
            has_alpn = policy is not None and entries(policy.spec, "tls", "alpnProtocols")
            if not others or (has_alpn and step.to_version != (1, 4, 0)):
                continue
            grpc = bool(joined.routes_of(one, GRPC_ROUTE))
            after_18 = step.to_version >= (1, 8)
            yield change(
                snapshot,
                one.at("hostname"),
                f"{one.label} overlaps with {', '.join(o.name for o in others)}: HTTP/1.1 only",
                today="h2 and http/1.1 are offered",
                after="condition OverlappingTLSConfig, http/1.1 only",
                keep=("set tls.alpnProtocols: [h2, http/1.1] in a ClientTrafficPolicy",),
                verify="openssl s_client -alpn h2 -connect HOST:443 reports h2",
                severity=Severity.ERROR if grpc else Severity.WARNING,
                possible="certain if the certificates share names" if after_18 else "",
            )


def _overlap(one: Listener, other: Listener) -> bool:
    if one.index == other.index or one.port != other.port or one.hostname == other.hostname:
        return False
    return bool(one.hostname and other.hostname and meet(one.hostname, other.hostname))
