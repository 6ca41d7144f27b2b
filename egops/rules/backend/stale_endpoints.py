"""EGD-309 stale-endpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.backends import endpoints_of, is_serving
from egops.finding import Problem, Severity
from egops.gatewayapi import ENDPOINT_SLICE, ROUTE_KINDS, SERVICE, timestamp
from egops.hosts import is_draining
from egops.proxies import counted, fleets, location_of, require, short_name, unanswered, verb
from egops.rules import rule
from egops.snapshot import Probe, Ref, entries, items, text
from egops.traffic import backends_of, owner_location
from egops.xds.names import BackendCluster, RuleCluster, parse_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from egops.finding import Unjudged
    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Proxy, Snapshot
    from egops.xds.admin import ClusterStatus

SHOWN = 5
EXTRA = timedelta(seconds=30)  # beyond the window: endpoints take a moment to arrive


@rule(
    code="EGD-309",
    severity=Severity.ERROR,
    reads=(ENDPOINT_SLICE, SERVICE),
    optional=ROUTE_KINDS,
    probes=(Probe.CLUSTERS,),
    since="0.1",
    ok="the proxies balance to the endpoints that the EndpointSlices have",
)
def stale_endpoints(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy balances to other endpoints than the EndpointSlices have.

    ## Why it matters
    Endpoints that are gone make a share of all requests fail or hang; endpoints that are missing
    get no traffic, so a new version or more replicas have no effect.

    ## How to fix it
    See whether the proxy is connected (EGD-440) and Envoy Gateway publishes (EGD-142). Releases up
    to 1.2.1 kept endpoints of pods that were gone. Restarting Envoy Gateway sends them anew.
    """
    require(snapshot, ENDPOINT_SLICE, SERVICE)
    wanted: dict[str, Expected | None] = {}
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.proxies if proxy.has(Probe.CLUSTERS)]
        differing: dict[str, list[tuple[Proxy, Difference]]] = {}
        for proxy in proxies:
            for status in proxy.clusters.cluster_statuses:
                if status.name not in wanted:
                    wanted[status.name] = _expected(status.name, snapshot)
                found = _difference(status, wanted[status.name])
                if found is not None and (found.extra or found.missing):
                    differing.setdefault(status.name, []).append((proxy, found))
        for name, pairs in sorted(differing.items()):
            yield _problem(name, pairs, proxies, snapshot)
    yield from unanswered(snapshot, Probe.CLUSTERS)


class Difference(NamedTuple):
    """What Envoy has besides the EndpointSlices, and what it lacks."""

    extra: list[str]
    missing: list[str]
    changed: datetime | None


def _services(name: str, snapshot: Snapshot) -> list[ObjectRef | Ref] | None:
    """Return the Services behind a cluster; None if it has others, or is none of a route's."""
    match parse_cluster(name):
        case BackendCluster() as found:
            return [Ref(SERVICE, found.namespace, found.name)] if found.kind == "Service" else None
        case RuleCluster() as found:
            refs = backends_of(name, snapshot)
            if found.backend is not None:
                refs = refs[found.backend : found.backend + 1] if found.backend >= 0 else []
            plain = [ref for ref in refs if ref.ref is not None and ref.ref.kind == SERVICE]
            return list(plain) if refs and len(plain) == len(refs) else None
        case _:
            return None


class Expected(NamedTuple):
    """What the EndpointSlices of a cluster's Services have."""

    known: set[str]
    ready: set[str]
    virtual: set[str]  # the Services' own addresses
    changed: datetime | None


def _expected(name: str, snapshot: Snapshot) -> Expected | None:
    """Return what a cluster should have; None if its endpoints come from elsewhere."""
    services = _services(name, snapshot)
    if not services:
        return None
    found = Expected(set(), set(), set(), None)
    for entry in services:
        ref = entry if isinstance(entry, Ref) else entry.ref
        service = snapshot.get(ref) if ref else None
        if service is None or ref is None or text(service.spec, "type") == "ExternalName":
            return None
        found.virtual.update(
            {text(service.spec, "clusterIP"), *map(str, entries(service.spec, "clusterIPs"))}
        )
        weight = 1 if isinstance(entry, Ref) else entry.entry.body.get("weight", 1)
        addresses, serving, at = _addresses(ref, snapshot)
        found.known.update(addresses)
        found.ready.update(serving if weight else ())
        found = found._replace(changed=max(filter(None, (found.changed, at)), default=None))
    return found


def _difference(status: ClusterStatus, expected: Expected | None) -> Difference | None:
    if expected is None:
        return None
    draining = {h.address.socket_address.address for h in status.host_statuses if is_draining(h)}
    hosts = {h.address.socket_address.address for h in status.host_statuses} - draining
    if hosts & expected.virtual:  # routingType Service: kube-proxy balances
        return None
    families = {":" in host for host in hosts} or {False}
    missing = {each for each in expected.ready - hosts if (":" in each) in families}
    return Difference(sorted(hosts - expected.known), sorted(missing - draining), expected.changed)


def _addresses(service: Ref, snapshot: Snapshot) -> tuple[set[str], set[str], datetime | None]:
    """Return all addresses of a Service, those that serve, and when they last changed."""
    known, ready, times = set(), set(), []
    for entry in endpoints_of(service, snapshot).slices:
        if text(entry.body, "addressType") == "FQDN":
            continue
        times += [timestamp(m.get("time")) for _, m in items(entry.metadata, "managedFields")]
        times.append(timestamp(entry.metadata.get("creationTimestamp")))
        for _, endpoint in items(entry.body, "endpoints"):
            addresses = {str(address) for address in entries(endpoint, "addresses")}
            known |= addresses
            if is_serving(endpoint):
                ready |= addresses
    return known, ready, max(filter(None, times), default=None)


def _problem(
    name: str, pairs: list[tuple[Proxy, Difference]], proxies: list[Proxy], snapshot: Snapshot
) -> Problem:
    extra = sorted({address for _, found in pairs for address in found.extra})
    missing = sorted({address for _, found in pairs for address in found.missing})
    changed = max(filter(None, (found.changed for _, found in pairs)), default=None)
    who = counted([proxy for proxy, _ in pairs], proxies)
    parts = []
    if extra:
        parts.append(f"{verb(who, 'use')} {_some(extra)}, which no EndpointSlice has")
    if missing:
        parts.append(f"{verb(who, 'lack')} {_some(missing)}")
    patience = timedelta(seconds=snapshot.window_seconds) + EXTRA
    at = owner_location(name, pairs[0][0], snapshot)
    return Problem(
        at,
        f"{who} {' and '.join(parts)}",
        impact="a share of the requests fails or hangs"
        if extra
        else "ready endpoints get no traffic",
        evidence=tuple(
            f"{short_name(proxy)}: {name}: stale {found.extra or 'none'}, "
            f"missing {found.missing or 'none'}"
            for proxy, found in pairs[:SHOWN]
        ),
        remedy=(
            "see whether the proxy is connected (EGD-440) and Envoy Gateway publishes (EGD-142)",
            "if both are well: restart Envoy Gateway, which sends all endpoints anew",
        ),
        related=tuple(location_of(proxy) for proxy, _ in pairs),
        explains=("EGD-503", "EGD-505") if extra else (),
        explains_refs=(str(at.ref),),
        settled=changed is None or snapshot.taken_at - changed > patience,
    )


def _some(addresses: list[str]) -> str:
    more = len(addresses) - SHOWN
    return ", ".join(addresses[:SHOWN]) + (f" and {more} more" if more > 0 else "")
