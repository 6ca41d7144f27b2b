"""EGU-1405 overlap-loses-http2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY, GATEWAY, GRPC_ROUTE, SECRET
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.overlap import DISJOINT_ALLOWED, overlap
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot
    from egops.upgrade.world import Listener, World


@rule(
    code="EGU-1405",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(
        *ROUTES,
        ENVOY_PROXY,
        CLIENT_TRAFFIC_POLICY,
        SECRET,
    ),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no HTTPS listeners on one port overlap",
)
def overlap_loses_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """HTTPS listeners on one port that overlap fall back to HTTP/1.1.

    ## Why it matters
    Listeners whose hostnames overlap (one without a hostname overlaps with all), or whose
    certificates share a name, get the condition `OverlappingTLSConfig` and no longer offer HTTP/2:
    gRPC over TLS fails. From 1.8 on hostnames may overlap where the certificates do not.

    ## How to fix it
    Set `tls.alpnProtocols` in a ClientTrafficPolicy (counts from 1.4.1 on), or give the listeners
    ports of their own.
    """
    step = upgrade_of(snapshot)
    joined = world(snapshot)
    for one in joined.listeners:
        if one.protocol != "HTTPS":
            continue
        merged = joined.is_merged(one.gateway) and step.to_version > (1, 4, 0)
        peers = joined.listeners if merged else joined.listeners_of(one.gateway)
        found = {
            other.label if other.gateway.ref != one.gateway.ref else other.name: what
            for other in peers
            if other.protocol == "HTTPS"
            and (what := overlap(snapshot, one, other, step.to_version))
        }
        policy = joined.listener_policy(CLIENT_TRAFFIC_POLICY, one)
        has_alpn = policy is not None and entries(policy.spec, "tls", "alpnProtocols")
        if found and not (has_alpn and step.to_version != (1, 4, 0)):
            yield _problem(joined, one, found)


def _problem(joined: World, one: Listener, found: dict[str, str]) -> Problem:
    step = upgrade_of(joined.snapshot)
    by_name = all(what == "hostname" for what in found.values())
    doubt = "certain if the certificates share names"
    return change(
        joined.snapshot,
        one.at(*(("hostname",) if one.hostname else ())),
        f"{one.label} overlaps with {', '.join(found)}: HTTP/1.1 only",
        evidence=tuple(f"{name}: {what}" for name, what in found.items()),
        today="h2 and http/1.1 are offered",
        after="condition OverlappingTLSConfig, http/1.1 only",
        keep=("set tls.alpnProtocols: [h2, http/1.1] in a ClientTrafficPolicy",),
        verify="openssl s_client -alpn h2 -connect HOST:443 reports h2",
        severity=Severity.ERROR if joined.routes_of(one, GRPC_ROUTE) else Severity.WARNING,
        possible=doubt if by_name and step.to_version >= DISJOINT_ALLOWED else "",
    )
