"""EGU-1302 empty-alpn-list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY, GRPC_ROUTE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "tls", "alpnProtocols")


@rule(
    code="EGU-1302",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(*ROUTES, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no ClientTrafficPolicy of an HTTPS listener has an empty list of ALPN protocols",
)
def empty_alpn_list(snapshot: Snapshot) -> Iterator[Problem]:
    """An empty `alpnProtocols` list meant the default and now switches ALPN off.

    ## Why it matters
    Without ALPN, clients of an HTTPS listener negotiate HTTP/1.1 only: gRPC over TLS and clients
    that insist on HTTP/2 fail.

    ## How to fix it
    Remove the field, or set it to `[h2, http/1.1]`.
    """
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        if section(policy.spec, "tls").get("alpnProtocols") != []:
            continue
        hit = [listener for listener in listeners if listener.protocol == "HTTPS"]
        if joined.is_whole and not hit:
            continue
        grpc = any(joined.routes_of(listener, GRPC_ROUTE) for listener in hit)
        yield change(
            snapshot,
            policy.at(*PATH),
            "an empty list of ALPN protocols switches ALPN off",
            evidence=tuple(f"listener: {listener.label}" for listener in hit),
            today="the empty list counts as not set: h2 and http/1.1 are offered",
            after="no ALPN is offered, clients speak HTTP/1.1 only",
            keep=("remove spec.tls.alpnProtocols, or set it to [h2, http/1.1]",),
            verify="openssl s_client -alpn h2,http/1.1 -connect HOST:443 reports h2",
            severity=Severity.ERROR if grpc else Severity.WARNING,
            possible="" if hit else "certain if it is attached to an HTTPS listener",
            fix_patch=patch(policy, PATH),
        )
