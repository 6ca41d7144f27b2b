"""EGU-1203 drain-shortened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1203",
    severity=Severity.INFO,
    optional=(
        *CORE,
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
    proxies = snapshot.all(ENVOY_PROXY)
    if proxies and all("drainTimeout" in section(p.spec, "shutdown") for p in proxies):
        return
    yield from once(
        snapshot,
        "proxies without shutdown.drainTimeout end after 60 s instead of 600 s",
        today="drain for at least 5 s and at most 600 s, grace period 900 s",
        after="drain at once, for at least 10 s and at most 60 s, grace period 360 s",
        keep=("set shutdown: {drainTimeout: 600s, minDrainDuration: 5s} in the EnvoyProxy",),
        verify="terminationGracePeriodSeconds of the proxies",
        possible="certain with connections that live longer than 60 s",
    )
