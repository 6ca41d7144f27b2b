"""EGU-1610 http2-windows-grow."""

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

    from egops.snapshot import Resource, Snapshot
    from egops.upgrade.world import Listener

POLICY = CLIENT_TRAFFIC_POLICY
SIZES = {"maxConcurrentStreams", "initialStreamWindowSize", "initialConnectionWindowSize"}


@rule(
    code="EGU-1610",
    severity=Severity.INFO,
    optional=(*CORE, ENVOY_PROXY, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="every HTTPS listener has HTTP/2 settings of its own",
)
def http2_windows_grow(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy 1.36 takes 1024 streams at once and other HTTP/2 windows: 16 MiB and 24 MiB.

    ## Why it matters
    A connection can make the proxy buffer more or less than before, and clients with more than 1024
    streams on a connection wait. Proxies with tight memory limits can be killed.

    ## How to fix it
    Set `http2` in the ClientTrafficPolicy of the listener (and in the BackendTrafficPolicy).
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for gateway in joined.gateways:
        hit = [
            one
            for one in joined.listeners_of(gateway)
            if one.protocol == "HTTPS" and not _is_set(joined.listener_policy(POLICY, one))
        ]
        if hit:
            yield _problem(snapshot, hit)


def _is_set(policy: Resource | None) -> bool:
    return policy is not None and set(section(policy.spec, "http2")) >= SIZES


def _problem(snapshot: Snapshot, hit: list[Listener]) -> Problem:
    return change(
        snapshot,
        hit[0].at(),
        f"{len(hit)} HTTPS listener(s) take Envoy's new HTTP/2 limits",
        today="the limits of the installed Envoy",
        after="1024 streams at once, windows of 16 MiB (stream) and 24 MiB (connection)",
        keep=("set http2 in a ClientTrafficPolicy of the listener",),
        verify="the memory of the proxies under load",
        possible="matters to proxies with little memory and to clients with many streams",
    )
