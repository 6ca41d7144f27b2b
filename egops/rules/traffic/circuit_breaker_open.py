"""EGD-506 circuit-breaker-open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import ROUTE_KINDS
from egops.proxies import has_window, location_of, rises, short_name
from egops.rules import rule
from egops.snapshot import Probe, items, number
from egops.traffic import failures, owner_location, requests_told, samples, unread_logs
from egops.xds.config_dump import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Unjudged
    from egops.snapshot import Proxy, Snapshot

OVERFLOW = re.compile(
    r"cluster\.(?P<cluster>.+)\.upstream_(?:cx|cx_pool|rq_pending|rq_retry|rq_active)_overflow"
)
OPEN = re.compile(
    r"cluster\.(?P<cluster>.+)\.circuit_breakers\.default\.(?P<what>cx|cx_pool|rq|rq_pending)_open"
)
LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
DEFAULT = 1024


@rule(
    code="EGD-506",
    severity=Severity.WARNING,
    optional=ROUTE_KINDS,
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.PROXY_LOG, Probe.CONFIG_DUMP),
    since="0.1",
    ok="no circuit breaker rejects requests",
)
def circuit_breaker_open(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A circuit breaker rejects requests: a cluster has reached its limit.

    ## Why it matters
    Requests beyond the limit get 503 at once (`UO`). The limits count per proxy and per cluster;
    they are 1024 connections, pending and active requests by default.

    ## How to fix it
    If the backend can take more, raise `circuitBreaker` in a BackendTrafficPolicy; if it is slow,
    scale it: a breaker that opens is often the first sign of slow answers.
    """
    groups: dict[str, Seen] = {}
    for proxy in snapshot.proxies:
        for name, fact in _counters(proxy):
            groups.setdefault(name, Seen([], [], [])).add(proxy, fact)
    for group in failures(snapshot, _fails, lambda entry: entry.cluster):
        seen = groups.setdefault(group.key, Seen([], [], []))
        for proxy in group.proxies:
            seen.add(proxy, samples(group)[0])
        seen.requests.extend(group.failing)
    for cluster, seen in sorted(groups.items()):
        yield _problem(cluster, seen, snapshot)
    yield from unread_logs(snapshot)


class Seen(NamedTuple):
    """What tells of a full cluster."""

    proxies: list[Proxy]
    facts: list[str]
    requests: list[Entry]

    def add(self, proxy: Proxy, fact: str) -> None:
        """Take one more witness."""
        if proxy not in self.proxies:
            self.proxies.append(proxy)
        self.facts.append(f"{short_name(proxy)}: {fact}")


def _fails(entry: Entry) -> bool:
    return entry.code == 503 and (entry.has_flag("UO") or entry.details.startswith("overflow"))


def _counters(proxy: Proxy) -> Iterator[tuple[str, str]]:
    """Yield cluster and fact for counters that rise and breakers that are open in both reads."""
    for rise in rises(proxy, OVERFLOW.pattern):
        found = OVERFLOW.fullmatch(rise.name)
        if found is not None:
            yield found["cluster"], str(rise).removeprefix(f"cluster.{found['cluster']}.")
    if not has_window(proxy):
        return
    for name, value in proxy.stats.matching(OPEN.pattern):
        found = OPEN.fullmatch(name)
        if found is not None and value and proxy.stats_again.get(name):
            yield found["cluster"], f"circuit breaker {found['what']}_open in both reads"


def _problem(cluster: str, seen: Seen, snapshot: Snapshot) -> Problem:
    limits = _limits(seen.proxies[0], cluster)
    return Problem(
        owner_location(cluster, seen.proxies[0], snapshot),
        f"cluster {cluster} is at the limit of its circuit breaker"
        + (f": {requests_told(len(seen.requests))} got 503" if seen.requests else ""),
        impact="requests beyond the limit get 503 at once",
        evidence=(*seen.facts[:6], f"limits per proxy: {limits}"),
        remedy=(
            "scale the backend, or raise circuitBreaker in a BackendTrafficPolicy of this route",
        ),
        related=tuple(location_of(proxy) for proxy in seen.proxies),
    )


def _limits(proxy: Proxy, cluster: str) -> str:
    if proxy.has(Probe.CONFIG_DUMP):
        for entry in proxy.config.clusters:
            if entry.cluster.name == cluster:
                for _, level in items(plain(entry.cluster.circuit_breakers), "thresholds"):
                    return ", ".join(f"{n} {number(level, n, default=DEFAULT)}" for n in LIMITS)
    return f"unknown ({DEFAULT} by default)"
