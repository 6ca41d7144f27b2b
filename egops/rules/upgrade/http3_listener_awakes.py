"""EGU-1335 http3-listener-awakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY
from egops.rules import rule
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "http3")


@rule(
    code="EGU-1335",
    severity=Severity.WARNING,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(*CORE, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 3),
    link=notes_link((1, 3, 3)),
    ok="no HTTP/3 listener has a hostname",
)
def http3_listener_awakes(snapshot: Snapshot) -> Iterator[Problem]:
    """An HTTP/3 listener with a hostname loses its TLS inspector and its server name match.

    ## Why it matters
    The inspector is a filter for TCP: Envoy refused the QUIC listener that had it. Without it the
    listener starts to work, and clients that were told of HTTP/3 use it. It takes every server
    name; with several hostnames on one port its filter chains can't be told apart.

    ## How to fix it
    Try HTTP/3 before the upgrade, or remove `http3` from the policy.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        if not isinstance(policy.spec.get("http3"), dict):
            continue
        hit = [found for found in listeners if found.protocol == "HTTPS" and found.hostname]
        ports = [found.port for found in hit]
        if joined.is_whole and not hit:
            continue
        several = len(set(ports)) < len(ports)
        yield change(
            snapshot,
            policy.at(*PATH),
            "HTTP/3 listeners with a hostname are made without TLS inspector and server name match",
            evidence=tuple(f"listener: {found.label}, {found.hostname}" for found in hit),
            today="the QUIC listener has a TCP filter that Envoy refuses",
            after="several hostnames share a port: filter chains without a match collide"
            if several
            else "the QUIC listener works, for every server name",
            keep=("try HTTP/3 first, or remove spec.http3",),
            verify="curl --http3 the Gateway; listener_manager.lds.update_rejected stays 0",
            possible=""
            if hit
            else "certain if it is attached to an HTTPS listener with a hostname",
            fix_patch=patch(policy, PATH),
        )
