"""EGD-520 cluster-not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import ROUTE_KINDS
from egops.rules import rule
from egops.snapshot import Probe, items, text
from egops.traffic import by_route, failures, live_routes, problem, told, unread_logs
from egops.xds.config_dump import plain
from egops.xds.names import INVALID_BACKEND, RuleCluster, parse_route

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
        wanted = _wanted(group)
        missing = [name for name in wanted if not _is_active(group, name)]
        if wanted and not missing:
            continue  # it has arrived since
        names = missing or [group.sample.cluster or _guess(group)]
        invalid = INVALID_BACKEND in names
        yield problem(
            group,
            snapshot,
            f"{told(group)} got {group.sample.code}: cluster {', '.join(names)} does not exist",
            impact="requests of this route fail, all or a share",
            evidence=tuple(f"the proxy has no active cluster {name}" for name in missing),
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


def _wanted(group: Group) -> list[str]:
    """Return the clusters that the live route names; the access log has none of such a request."""
    names: dict[str, None] = {}
    for proxy in group.proxies:
        for route in live_routes(proxy, group.key):
            action = plain(route.route)
            if name := text(action, "cluster"):
                names[name] = None
            for _, part in items(action, "weighted_clusters", "clusters"):
                names[text(part, "name")] = None
    return list(names)


def _is_active(group: Group, name: str) -> bool:
    """Return whether every proxy that failed has the cluster by now."""
    return all(
        any(
            entry.cluster.name == name and entry.state != "warming"
            for entry in proxy.config.clusters
        )
        for proxy in group.proxies
        if proxy.has(Probe.CONFIG_DUMP)
    )


def _guess(group: Group) -> str:
    route = parse_route(group.key)
    if route is None:
        return group.key
    return str(RuleCluster(route.kind, route.namespace, route.name, route.rule))
