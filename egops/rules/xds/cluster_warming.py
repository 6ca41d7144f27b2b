"""EGD-443 cluster-warming."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, GATEWAY_CLASS
from egops.proxies import (
    age,
    counted,
    fleet_refs,
    fleets,
    location_of,
    short_name,
    unanswered,
    verb,
)
from egops.refusals import moment
from egops.rules import rule
from egops.snapshot import Location, Probe
from egops.xds.owners import cluster_name_owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from egops.finding import Unjudged
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Snapshot
    from egops.xds.config_dump import ClusterEntry

SETTLE = timedelta(seconds=60)
SHOWN = 5


@rule(
    code="EGD-443",
    severity=Severity.ERROR,
    optional=(GATEWAY, GATEWAY_CLASS),
    probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="no cluster waits for its endpoints",
)
def cluster_warming(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A cluster waits for endpoints or a certificate that do not arrive.

    ## Why it matters
    A new cluster is not used while it warms: requests of its routes get 503, and a changed one
    keeps its old endpoints. From Envoy Gateway 1.7 Envoy waits for ever. At the start of a proxy
    a warming cluster holds back all listeners.

    ## How to fix it
    See whether the proxy is connected (EGD-440), whether it rejects the endpoints or a secret
    (EGD-441, EGD-405), and whether Envoy Gateway publishes (EGD-142).
    """
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.proxies if proxy.has(Probe.CONFIG_DUMP)]
        waiting = {
            proxy.name: [entry for entry in proxy.config.clusters if entry.state == "warming"]
            for proxy in proxies
        }
        affected = [proxy for proxy in proxies if waiting[proxy.name]]
        if affected:
            yield _problem(fleet, affected, proxies, waiting, snapshot)
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)


def _problem(
    fleet: Fleet,
    affected: list[Proxy],
    proxies: list[Proxy],
    waiting: dict[str, list[ClusterEntry]],
    snapshot: Snapshot,
) -> Problem:
    entries = [entry for proxy in affected for entry in waiting[proxy.name]]
    names = sorted({entry.cluster.name for entry in entries})
    since = min((when for entry in entries if (when := moment(entry.last_updated))), default=None)
    who = counted(affected, proxies)
    at = fleet.location(snapshot)
    count = f"{len(names)} clusters" if len(names) != 1 else f"cluster {names[0]}"
    return Problem(
        Location(at.ref, at.path, at.origin, at.api_version, "clusters"),
        f"{who} {verb(who, 'keep')} {count} warming" + (f", for {_age(since, snapshot)}"),
        impact="requests to a new cluster get 503; a changed one keeps its old endpoints",
        evidence=tuple(_told(name) for name in names[:SHOWN])
        + tuple(f"{short_name(p)}: {len(waiting[p.name])} warming" for p in affected),
        why="their endpoints (EDS) or secrets (SDS) did not arrive",
        remedy=(
            "see whether the proxy is connected (EGD-440) and what it rejects (EGD-441, EGD-405)",
            "see whether Envoy Gateway publishes (EGD-142)",
        ),
        related=tuple(location_of(proxy) for proxy in affected),
        explains=("EGD-444",),
        explains_refs=fleet_refs(fleet, snapshot),
        settled=since is None or snapshot.taken_at - since >= SETTLE,
    )


def _age(since: datetime | None, snapshot: Snapshot) -> str:
    return age(since, snapshot) if since else "an unknown time"


def _told(name: str) -> str:
    owner = cluster_name_owner(name)
    return f"{name} of {owner}" if owner else name
