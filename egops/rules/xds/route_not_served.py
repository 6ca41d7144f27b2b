"""EGD-446 route-not-served."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from egops.attachment import reported_parents
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    LISTENER_SET,
    NAMESPACE,
    OURS,
    ROUTE_KINDS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    X_LISTENER_SET,
    condition,
    our_routes,
    parent_refs,
)
from egops.listeners import parent_attempts
from egops.proxies import counted, fleets, location_of, short_name, unanswered
from egops.rules import rule
from egops.snapshot import Probe, SourceType, entries
from egops.xds.owners import Owner, Source, chain_owner, cluster_name_owner, route_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.gatewayapi import ObjectRef
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Ref, Resource, Snapshot

Key = tuple[str, str, str]


@rule(
    code="EGD-446",
    severity=Severity.ERROR,
    optional=(*OURS, *ROUTE_KINDS, NAMESPACE),
    probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="every accepted route is in the proxies' configuration",
)
def route_not_served(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A route is accepted, but no proxy of its Gateway has it.

    ## Why it matters
    Status says that all is well, and requests get 404. So it looks when Envoy Gateway stopped
    publishing, for example after a recovered panic, or when the proxies reject what they get.

    ## How to fix it
    See whether Envoy Gateway publishes (EGD-142, EGD-141), and whether the proxies reject the
    configuration (EGD-441) or have lost the connection (EGD-440). Restarting Envoy Gateway is the
    last resort: running proxies keep what they have.
    """
    crowd, routes = _crowded(snapshot), our_routes(snapshot)
    if not routes and snapshot.source.type is not SourceType.CLUSTER:
        raise CannotJudge("no route in the input")
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.ready if proxy.has(Probe.CONFIG_DUMP)]
        gateways = {gateway.ref for gateway in fleet.gateways(snapshot)}
        if not proxies or not gateways:
            continue
        served = {proxy.name: _served(proxy) for proxy in proxies}
        for route in routes:
            if not _is_expected(route, gateways, crowd, snapshot):
                continue
            lacking = [p for p in proxies if _key(route) not in served[p.name]]
            if lacking:
                yield _problem(route, fleet, lacking, proxies)
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)


def _key(route: Resource) -> Key:
    return route.kind.name, route.namespace, route.name


def _served(proxy: Proxy) -> set[Key]:
    """Return the route objects that this proxy's configuration was made of."""
    config, found = proxy.config, set()
    for entry in config.route_configs:
        for host in entry.route_config.virtual_hosts:
            for xds_route in host.routes:
                made_by = xds_route.metadata.resource
                if made_by is not None:
                    found.add((made_by.kind or "HTTPRoute", made_by.namespace, made_by.name))
                source = route_source(xds_route, host)
                if isinstance(source, Source):
                    found.add((source.kind, source.namespace, source.name))
    for listener in config.listeners:
        if listener.active:
            owners = [chain_owner(chain) for chain in listener.active.listener.chains]
            found |= {(o.kind, o.namespace, o.name) for o in owners if isinstance(o, Owner)}
    for cluster in config.clusters:
        owner = cluster_name_owner(cluster.cluster.name)
        if isinstance(owner, Owner) and owner.kind not in (HTTP_ROUTE.name, GRPC_ROUTE.name):
            found.add((owner.kind, owner.namespace, owner.name))
    return found


def _is_expected(
    route: Resource, gateways: set[Ref], crowd: Counter[tuple[object, ...]], snapshot: Snapshot
) -> bool:
    """Return whether a Gateway of this fleet says that it serves the route, settled and fresh."""
    if not entries(route.spec, "rules") or "deletionTimestamp" in route.metadata:
        return False
    for parent, entry in reported_parents(route, snapshot):
        if _gateway_of(parent, snapshot) not in gateways:
            continue
        if crowd[_place(route, parent)] > 1 and route.kind in (TCP_ROUTE, UDP_ROUTE, TLS_ROUTE):
            continue
        if not _has_open_listener(route, parent, snapshot):
            continue
        found = [condition(entry.body, kind) for kind in ("Accepted", "ResolvedRefs")]
        if all(
            c and c.is_true and c.is_fresh(route) and c.has_settled(route, snapshot) for c in found
        ):
            return True
    return False


def _has_open_listener(route: Resource, parent: ObjectRef, snapshot: Snapshot) -> bool:
    """Return whether a listener that the route attaches to is Programmed, or says nothing."""
    for attempt in parent_attempts(route, parent, snapshot):
        programmed = attempt.listener.condition("Programmed")
        if attempt.succeeds and (programmed is None or programmed.is_true):
            return True
    return False


def _gateway_of(parent: ObjectRef, snapshot: Snapshot) -> object:
    if parent.ref is not None and parent.ref.kind in (LISTENER_SET, X_LISTENER_SET):
        listener_set = snapshot.get(parent.ref)
        ups = list(parent_refs(listener_set)) if listener_set else []
        return ups[0].ref if ups else None
    return parent.ref


def _crowded(snapshot: Snapshot) -> Counter[tuple[object, ...]]:
    """Return how many routes share a parent: of several L4 routes only the oldest is served."""
    return Counter(
        _place(route, parent)
        for kind in (TCP_ROUTE, UDP_ROUTE, TLS_ROUTE)
        for route in snapshot.all(kind)
        for parent in parent_refs(route)
    )


def _place(route: Resource, parent: ObjectRef) -> tuple[object, ...]:
    return route.kind, parent.ref, parent.section_name, parent.port


def _problem(route: Resource, fleet: Fleet, lacking: list[Proxy], proxies: list[Proxy]) -> Problem:
    who = counted(lacking, proxies)
    where = "no proxy has" if len(lacking) == len(proxies) else f"{who} lack"
    return Problem(
        route.at(),
        f"{where} this route of {GATEWAY.name} {fleet.key}, although it is accepted",
        impact="its requests get 404" if route.kind in (HTTP_ROUTE, GRPC_ROUTE) else "",
        evidence=tuple(
            f"{short_name(proxy)}: no route, chain or cluster of it" for proxy in lacking
        ),
        remedy=(
            "see whether Envoy Gateway publishes: EGD-142, EGD-141",
            "see whether the proxies reject it or are cut off: EGD-441, EGD-440",
            "if neither: restart Envoy Gateway (running proxies keep what they have)",
        ),
        related=tuple(location_of(proxy) for proxy in lacking),
    )
