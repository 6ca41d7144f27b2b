"""EGD-519 proxy-overloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.proxies import has_window, location_of, rises, without_window
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.snapshot import Proxy, Snapshot

ACTIVE = "overload.envoy.overload_actions.stop_accepting_requests.active"
PRESSURE = "overload.envoy.resource_monitors.fixed_heap.pressure"
# of listeners with traffic of users; the readiness and stats listeners are Envoy Gateway's own
REFUSED = r"http\.https?-.+\.downstream_rq_overload_close"


@rule(
    code="EGD-519",
    severity=Severity.ERROR,
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN),
    since="0.1",
    ok="no proxy refuses requests to save its memory",
)
def proxy_overloaded(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy refuses requests because its heap is nearly as large as its memory limit allows.

    ## Why it matters
    At 98 % of the heap Envoy answers 503 instead of taking requests. Envoy Gateway sets this up
    where the envoy container has a memory limit; without one the kernel ends Envoy instead.

    ## How to fix it
    Add a replica, which takes new connections at once, or raise the memory limit in the EnvoyProxy.
    Then look for what fills it: connections, buffers, statistics for each route.
    """
    for proxy in snapshot.proxies:
        if evidence := _evidence(proxy):
            yield Problem(
                location_of(proxy),
                "Envoy refuses requests to save its memory",
                impact="requests to it get 503",
                evidence=evidence,
                remedy=("add a replica, or raise the memory limit of the envoy container",),
            )
    yield from without_window(snapshot)


def _evidence(proxy: Proxy) -> tuple[str, ...]:
    """Return what tells of it: refused while we watched, or refusing in both reads."""
    if not has_window(proxy):
        return ()
    told = [str(rise) for rise in rises(proxy, REFUSED)]
    if proxy.stats.get(ACTIVE) and proxy.stats_again.get(ACTIVE):
        told.append("stop_accepting_requests is active in both reads")
    pressure = proxy.stats_again.get(PRESSURE)
    if told and pressure is not None:
        told.append(f"the heap is at {pressure:g} % of its limit")
    return tuple(told)
