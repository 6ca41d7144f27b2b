"""EGU-1210 stream-alpn-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1210",
    severity=Severity.WARNING,
    optional=(*CORE, ENVOY_PROXY, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="no TLS listener terminates TLS without a choice of ALPN",
)
def stream_alpn_off(snapshot: Snapshot) -> Iterator[Problem]:
    """A TLS listener that terminates TLS for TCP routes no longer offers ALPN.

    ## Why it matters
    Clients that insist on a negotiated protocol, HTTP/2 over such a listener among them, fail.

    ## How to fix it
    Set `tls.alpnProtocols` in a ClientTrafficPolicy of the listener.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for listener in joined.listeners:
        if listener.protocol != "TLS" or not listener.terminates_tls:
            continue
        policy = joined.listener_policy(CLIENT_TRAFFIC_POLICY, listener)
        if policy is not None and section(policy.spec, "tls").get("alpnProtocols") is not None:
            continue
        yield change(
            snapshot,
            listener.at(),
            "the listener offers no ALPN any more",
            today="it offers h2 and http/1.1",
            after="it offers none; the client must not insist on one",
            keep=("set tls.alpnProtocols in a ClientTrafficPolicy of the listener",),
            verify="openssl s_client -alpn h2 -connect … tells the protocol",
            possible="certain if a client needs ALPN",
        )
