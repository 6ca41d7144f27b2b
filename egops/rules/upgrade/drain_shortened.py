"""EGU-1203 drain-shortened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, GRPC_ROUTE, TCP_ROUTE, TLS_ROUTE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

LONG_LIVED = (GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE)  # what streams; WebSockets can't be told


@rule(
    code="EGU-1203",
    severity=Severity.WARNING,
    optional=(
        *ROUTES,
        ENVOY_PROXY,
    ),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="nothing is installed whose shutdown could change",
)
def drain_shortened(snapshot: Snapshot) -> Iterator[Problem]:
    """Proxies drain at once and end after 60 seconds instead of 600.

    ## Why it matters
    Connections that live longer (WebSocket, streams) are cut when a proxy is replaced, the
    upgrade's own rollout included.

    ## How to fix it
    Set `shutdown: {drainTimeout: 600s, minDrainDuration: 5s}` in the EnvoyProxy to keep what was.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    proxies = snapshot.all(ENVOY_PROXY)
    hit = [one for one in joined.gateways if not _is_set(joined.proxy_of(one))]
    at = joined.anchor()
    if at is None or (joined.gateways and not hit):
        return
    if not joined.gateways and proxies and all(map(_is_set, proxies)):
        return
    refs = {gateway.ref for gateway in hit}
    streams = [
        found.route
        for found in joined.routes(*LONG_LIVED)
        if any(gateway.ref in refs for gateway in found.gateways)
    ]
    yield change(
        snapshot,
        at,
        "proxies without shutdown.drainTimeout end after 60 s instead of 600 s",
        evidence=(
            *(f"Gateway {gateway.namespace}/{gateway.name}" for gateway in hit[:5]),
            *(f"connections can be long-lived: {route.ref}" for route in streams[:5]),
        ),
        today="drain for at least 5 s and at most 600 s, grace period 900 s",
        after="drain at once, for at least 10 s and at most 60 s, grace period 360 s",
        keep=("set shutdown: {drainTimeout: 600s, minDrainDuration: 5s} in the EnvoyProxy",),
        verify="terminationGracePeriodSeconds of the proxies",
        severity=Severity.WARNING if streams else Severity.INFO,
        possible="certain with connections that live longer than 60 s",
    )


def _is_set(proxy: Resource | None) -> bool:
    return proxy is not None and "drainTimeout" in section(proxy.spec, "shutdown")
