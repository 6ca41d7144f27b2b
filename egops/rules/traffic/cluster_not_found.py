"""EGD-520 cluster-not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import ROUTE_KINDS
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
    code="EGD-520",
    severity=Severity.ERROR,
    optional=ROUTE_KINDS,
    probes=(Probe.PROXY_LOG,),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="no request is sent to a cluster that does not exist",
)
def cluster_not_found(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Requests get 503 because their route names a cluster that the proxy does not have.

    ## Why it matters
    The route arrived and its cluster did not: it was rejected, still warms, or this proxy is
    behind. The share of broken backendRefs is sent to `invalid-backend-cluster` on purpose.

    ## How to fix it
    For `invalid-backend-cluster` repair the backendRef (EGD-241). Else see whether the proxy
    rejects clusters (EGD-441), keeps them warming (EGD-443) or differs from the others (EGD-444).
    """
    for group in failures(snapshot, _fails, by_route):
        if _is_there(group):
            continue
        invalid = _is_invalid(group)
        cluster = group.sample.cluster or group.key
        yield problem(
            group,
            snapshot,
            f"{told(group)} got {group.sample.code}: cluster {cluster} does not exist",
            impact="requests of this route fail, all or a share",
            evidence=tuple(_states(group)),
            why="a backendRef of the rule is invalid" if invalid else "",
            remedy=("repair the backendRef: EGD-241",)
            if invalid
            else ("see what the proxy rejects or waits for: EGD-441, EGD-443, EGD-444",),
        )
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    return entry.code in (500, 503) and (
        entry.has_flag("NC") or entry.details == "cluster_not_found"
    )


def _is_there(group: Group) -> bool:
    """Return whether every proxy that failed has the cluster by now."""
    asked = [proxy for proxy in group.proxies if proxy.has(Probe.CONFIG_DUMP)]
    return bool(asked) and all(
        any(
            entry.cluster.name == group.sample.cluster and entry.state == "active"
            for entry in proxy.config.clusters
        )
        for proxy in asked
    )


def _is_invalid(group: Group) -> bool:
    return group.sample.cluster == "invalid-backend-cluster"


def _states(group: Group) -> Iterator[str]:
    for proxy in group.proxies:
        if proxy.has(Probe.CONFIG_DUMP):
            states = [
                entry.state
                for entry in proxy.config.clusters
                if entry.cluster.name == group.sample.cluster
            ]
            yield f"{proxy.name}: the cluster is {states[0] if states else 'not there'}"
