"""EGD-505 backend-without-healthy-host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import ROUTE_KINDS
from egops.hosts import health
from egops.rules import rule
from egops.snapshot import Probe
from egops.traffic import by_route, failures, problem, told, unread_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Problem, Unjudged
    from egops.snapshot import Snapshot
    from egops.traffic import Group


@rule(
    code="EGD-505",
    severity=Severity.ERROR,
    optional=ROUTE_KINDS,
    probes=(Probe.PROXY_LOG,),
    optional_probes=(Probe.CLUSTERS,),
    since="0.1",
    ok="every requested cluster has a healthy host",
)
def backend_without_healthy_host(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Requests get 503 because their cluster has no healthy host.

    ## Why it matters
    Envoy knows no endpoint it may use: there is none, its name does not resolve, or health checks
    and outlier detection have taken them all out.

    ## How to fix it
    No host at all: EGD-300 (endpoints), EGD-307 (DNS). All unhealthy: EGD-310 (health checks).
    """
    for group in failures(snapshot, _fails, by_route):
        state, step = _state(group)
        yield problem(
            group,
            snapshot,
            f"{told(group)} got 503: cluster {group.sample.cluster or group.key} "
            "has no healthy host",
            impact="every request to this backend fails",
            evidence=state,
            why=state[0] if state else "",
            remedy=(step,),
        )
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    return entry.code == 503 and entry.has_flag("UH")


def _state(group: Group) -> tuple[tuple[str, ...], str]:
    for proxy in group.proxies:
        status = (
            proxy.clusters.by_name.get(group.sample.cluster) if proxy.has(Probe.CLUSTERS) else None
        )
        if status is None:
            continue
        if not status.host_statuses:
            return ("the cluster has no host now",), "see EGD-300 (endpoints) and EGD-307 (DNS)"
        told = tuple(f"{host.address}: {health(host)}" for host in status.host_statuses[:5])
        return told, "see EGD-310: health checks or outlier detection took the hosts out"
    return (), "see EGD-300 (endpoints), EGD-307 (DNS) and EGD-310 (health checks)"
