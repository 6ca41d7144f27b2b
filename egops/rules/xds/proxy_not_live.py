"""EGD-453 proxy-not-live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import is_ready
from egops.proxies import location_of, short_name
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy, Snapshot
    from egops.xds.admin import Stats

STATES = {0: "LIVE", 1: "DRAINING", 2: "PRE_INITIALIZING", 3: "INITIALIZING"}


@rule(
    code="EGD-453",
    severity=Severity.WARNING,
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.SERVER_INFO),
    since="0.1",
    ok="every Ready proxy is live",
)
def proxy_not_live(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy that counts as Ready is not live.

    ## Why it matters
    A draining Envoy closes connections and fails its health checks; one that is still initializing
    has opened no port. Load balancers that look at the pod alone keep sending traffic.

    ## How to fix it
    A proxy drains because its pod ends, or because somebody failed its health check through the
    admin interface (EGD-454): delete the pod. One that initializes waits for its control plane
    (EGD-440) or for a part of its configuration (EGD-442, EGD-443).
    """
    silent = []
    for proxy in snapshot.proxies:
        if proxy.pod is not None and not is_ready(proxy.pod):
            continue
        if not (proxy.has(Probe.STATS) or proxy.has(Probe.SERVER_INFO)):
            silent.append(proxy)
            continue
        if state := _state(proxy):
            yield Problem(
                location_of(proxy),
                f"Envoy is {state}" + (" although its pod is Ready" if proxy.pod else ""),
                impact="it closes connections and fails health checks"
                if state == "DRAINING"
                else "it has opened no port yet",
                evidence=_evidence(proxy),
                remedy=("delete the pod if it is not ending by itself (EGD-454)",)
                if state == "DRAINING"
                else ("see what it waits for: EGD-440, EGD-442, EGD-443",),
            )
    if silent:
        reason = next(iter(silent[0].failures.values()), "not asked for its state")
        yield Unjudged(f"state of {short_name(silent[0])}: {reason}")


def _state(proxy: Proxy) -> str:
    """Return the state if it is not LIVE, or an empty string; two reads must agree."""
    told = proxy.server_info.state if proxy.has(Probe.SERVER_INFO) else ""
    states = [
        _by_stats(stats)
        for probe, stats in ((Probe.STATS, "stats"), (Probe.STATS_AGAIN, "stats_again"))
        if proxy.has(probe)
        for stats in [getattr(proxy, stats)]
    ]
    if states and all(state and state != "LIVE" for state in states):
        return states[-1]
    return "" if states and any(states) else told.replace("LIVE", "")


def _by_stats(stats: Stats) -> str:
    """Return what the gauges tell; `server.live` falls at once, `server.state` 5 s later."""
    state = stats.get("server.state")
    if state is None:
        return ""
    if state == 0 and stats.get("server.live") == 0:
        return "DRAINING"
    return STATES.get(int(state), "")


def _evidence(proxy: Proxy) -> tuple[str, ...]:
    found = []
    if proxy.has(Probe.SERVER_INFO):
        found.append(f"/server_info: {proxy.server_info.state}")
    if proxy.has(Probe.STATS):
        stats = proxy.stats_again if proxy.has(Probe.STATS_AGAIN) else proxy.stats
        names = ("server.state", "server.live", "listener_manager.workers_started")
        found += [f"{n} {v:g}" for n in names if (v := stats.get(n)) is not None]
    return tuple(found)
