"""EGD-310 all-hosts-unhealthy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, ROUTE_KINDS
from egops.hosts import health
from egops.proxies import (
    counted,
    fleets,
    location_of,
    rises,
    short_name,
    unanswered,
    verb,
)
from egops.rules import rule
from egops.snapshot import Probe, items, text
from egops.traffic import owner_location
from egops.xds.config_dump import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.snapshot import Proxy, Snapshot
    from egops.xds.admin import ClusterStatus, HostStatus

PANIC = re.compile(r"cluster\.(?P<cluster>.+)\.lb_healthy_panic")
SHOWN = 5


@rule(
    code="EGD-310",
    severity=Severity.WARNING,
    optional=(*ROUTE_KINDS, BACKEND_TRAFFIC_POLICY),
    probes=(Probe.CLUSTERS,),
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.CONFIG_DUMP),
    since="0.1",
    ok="every cluster with health checks or outlier detection has a healthy host",
)
def all_hosts_unhealthy(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """All hosts of a backend fail their health check, or were ejected.

    ## Why it matters
    With the default panic threshold of 50 % Envoy then sends traffic to all hosts, healthy or not:
    users may notice nothing, and the health check protects nobody. With the threshold at 0 they get
    503.

    ## How to fix it
    Usually the check is wrong, not the backend: the path, or the Host it sends. By default that is
    the hostname of the route, or `*` where it has none; set `healthCheck.active.http.hostname` in
    the BackendTrafficPolicy to what the application answers.
    """
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.proxies if proxy.has(Probe.CLUSTERS)]
        groups: dict[str, list[tuple[Proxy, ClusterStatus]]] = {}
        for proxy in proxies:
            panicking = {
                found["cluster"]
                for rise in rises(proxy, PANIC.pattern)
                if (found := PANIC.fullmatch(rise.name))
            }
            for status in proxy.clusters.cluster_statuses:
                if _is_down(status) or status.name in panicking:
                    groups.setdefault(status.name, []).append((proxy, status))
        for name, pairs in sorted(groups.items()):
            yield _problem(name, pairs, proxies, snapshot)
    yield from unanswered(snapshot, Probe.CLUSTERS)


def _fails(host: HostStatus) -> bool:
    status = host.health_status
    if status.pending_active_hc:  # a new host counts as failed until its first check
        return False
    return status.failed_active_health_check or status.failed_outlier_check


def _is_down(status: ClusterStatus) -> bool:
    return bool(status.host_statuses) and all(_fails(host) for host in status.host_statuses)


def _problem(
    name: str, pairs: list[tuple[Proxy, ClusterStatus]], proxies: list[Proxy], snapshot: Snapshot
) -> Problem:
    proxy, status = pairs[0]
    who = counted([each for each, _ in pairs], proxies)
    failing = [host for host in status.host_statuses if _fails(host)]
    ejected = any(host.health_status.failed_outlier_check for host in failing)
    check = _check(proxy, name)
    total = len(status.host_statuses)
    state = "all" if len(failing) == total else f"{len(failing)} of {total}"
    at = owner_location(name, proxy, snapshot)
    return Problem(
        at,
        f"{who} {verb(who, 'see')} {state} hosts of cluster {name} as unhealthy",
        impact="traffic still flows: below 50 % healthy hosts Envoy uses all of them (panic mode)",
        evidence=(
            *(f"{short_name(proxy)}: {h.address}: {health(h)}" for h in failing[:SHOWN]),
            *([f"health check: {check}"] if check else []),
        ),
        why="outlier detection ejected them: they answered with errors" if ejected else check,
        remedy=("see why the hosts answer with errors, and review the ejection percentage",)
        if ejected
        else (
            "ask a host what the check asks; correct path or hostname of healthCheck.active.http "
            "in the BackendTrafficPolicy",
        ),
        related=tuple(location_of(each) for each, _ in pairs),
        explains=("EGD-505",),
        explains_refs=(str(at.ref),),
    )


def _check(proxy: Proxy, name: str) -> str:
    """Return what the health check asks, or an empty string."""
    if not proxy.has(Probe.CONFIG_DUMP):
        return ""
    for entry in proxy.config.clusters:
        if entry.cluster.name == name:
            checks = {"checks": plain(entry.cluster.health_checks)}
            for _, check in items(checks, "checks"):
                path = text(check, "http_health_check", "path")
                host = text(check, "http_health_check", "host")
                return f"GET {path or '/'} with Host {host or name}" if path else "TCP or gRPC"
    return ""
