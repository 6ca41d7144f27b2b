"""Which objects a finding of an upgrade rule is about: those whose configuration it may change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Severity
from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    ENVOY_GATEWAY,
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE_FILTER,
    ROUTE_KINDS,
    SECURITY_POLICY,
    SERVICE,
    SERVICE_IMPORT,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    backend_refs,
    mirror_refs,
    per_snapshot,
)
from egops.policies import targets
from egops.snapshot import entries, items, text
from egops.upgrade.world import world
from egops.xds.names import ObjectName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.finding import Finding
    from egops.snapshot import Ref, Resource, Snapshot
    from egops.xds.effects import Effect

READS = (
    GATEWAY, GATEWAY_CLASS, *ROUTE_KINDS, BACKEND, BACKEND_TLS_POLICY, BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY, ENVOY_PATCH_POLICY, ENVOY_PROXY,
    HTTP_ROUTE_FILTER, SECURITY_POLICY, SERVICE, SERVICE_IMPORT,
)  # fmt: skip
# policies that change every route of the Gateway they target
_OF_ROUTES = (
    BACKEND_TRAFFIC_POLICY, SECURITY_POLICY, ENVOY_EXTENSION_POLICY, ENVOY_PATCH_POLICY,
)  # fmt: skip
_TARGETING = (*_OF_ROUTES, CLIENT_TRAFFIC_POLICY, BACKEND_TLS_POLICY)
_STREAMS = {kind.name for kind in (TCP_ROUTE, TLS_ROUTE, UDP_ROUTE)}
_BREAKING = ("EGU-1305", "EGU-1309")  # without the listener there are no routes
_EVERYTHING = (ENVOY_PROXY, GATEWAY_CLASS, ENVOY_GATEWAY)


WORKLOADS = ("workload", "controller")


class Claim(NamedTuple):
    """What a rule changes on every object alike: it explains this, wherever it is, and no more."""

    code: str
    sections: tuple[str, ...]
    path: re.Pattern[str]
    alone: bool = True  # whether no rule about the object itself may account for it, too

    def covers(self, effect: Effect) -> bool:
        """Return whether the effect is one of those."""
        return (
            effect.change == "changed"
            and effect.part.section in self.sections
            and self.path.search(effect.path) is not None
        )


_CHAINS = ("listener", "filter chain")


def _claim(code: str, sections: tuple[str, ...], path: str, *, alone: bool = True) -> Claim:
    return Claim(code, sections, re.compile(path), alone)


CLAIMS = (
    _claim("EGU-1303", ("cluster",), r"^outlier_detection"),
    _claim("EGU-1327", _CHAINS, r"(^|\.)access_log\b.*log_format"),
    _claim("EGU-1402", _CHAINS, r"(^|\.)access_log\b.*log_format"),
    _claim("EGU-1322", ("cluster",), r"^dns_lookup_family", alone=False),
    _claim("EGU-1301", ("workload",), r"\.ports\b"),
    _claim("EGU-1334", ("workload",), r"\.image$"),
    _claim("EGU-1330", ("controller",), r"\.image$"),
)
CLAIMED = {claim.code for claim in CLAIMS}


# what rules about a whole listener change there: a listener shows the changes of many causes
TOPICS = {
    code: re.compile(pattern)
    for code, pattern in {
        "EGU-1302": r"alpn",
        "EGU-1310": r"use_remote_address|xff_num_trusted_hops|original_ip_detection",
    }.items()
}


class Reach(NamedTuple):
    """What a finding is about.

    `rules` are rules of routes, `objects` are meant as a whole, `gateways` serve the routes: a
    filter that a route's policy needs stands in the filter chain of its Gateway. `listeners` are
    Gateways whose listeners are meant: a TCPRoute has one of its own.
    """

    objects: frozenset[ObjectName]
    rules: frozenset[tuple[ObjectName, int]] = frozenset()
    gateways: frozenset[ObjectName] = frozenset()
    listeners: frozenset[ObjectName] = frozenset()

    @property
    def names(self) -> frozenset[ObjectName]:
        """Return all objects that an effect on which may be meant."""
        wider = self.gateways | self.listeners
        return self.objects | wider | {owner for owner, _ in self.rules}

    def holds(self, effect: Effect) -> bool:
        """Return whether an effect is on one of them."""
        owner, rule = effect.part.owner, effect.part.rule
        if owner is None:
            return False
        if owner in self.objects:
            return True
        if owner in self.listeners and effect.part.section in _CHAINS:
            return True
        if owner in self.gateways:
            return effect.part.section == "filter chain" and "http_filters[" in effect.path
        if rule is None:
            return any(owner == known for known, _ in self.rules)
        return (owner, rule) in self.rules


def name_of(ref: Ref) -> ObjectName:
    """Return an object as Envoy's side calls it."""
    return ObjectName(ref.kind.name, ref.namespace, ref.name)


def explains(finding: Finding, reach: Reach, effect: Effect) -> bool:
    """Return whether a finding accounts for an effect."""
    if finding.code in CLAIMED:
        if any(claim.covers(effect) for claim in CLAIMS if claim.code == finding.code):
            return True
        # a patch that no longer applies shows where it was applied
        return finding.at.ref.kind == ENVOY_PATCH_POLICY and reach.holds(effect)
    if _is_general(finding) or any(claim.alone and claim.covers(effect) for claim in CLAIMS):
        return False
    if effect.part.section in WORKLOADS:  # every upgrade changes them: only a claim tells whose
        return False
    topic = TOPICS.get(finding.code)
    if topic is not None and not topic.search(effect.path):
        return False
    return reach.holds(effect)


def _is_general(finding: Finding) -> bool:
    """Return whether a finding tells of the installation: it accounts for nothing in particular."""
    kinds = (GATEWAY, *_EVERYTHING)
    about_all = finding.severity == Severity.INFO and finding.at.ref.kind in kinds
    about_one = finding.at.path[:2] == ("spec", "listeners") or finding.code in TOPICS
    return about_all and not about_one


def reach(snapshot: Snapshot, finding: Finding) -> Reach:
    """Return what a finding is about, by the objects of the snapshot it was made of."""
    ref, rule = finding.at.ref, _rule(finding)
    related = {other.ref for other in finding.problem.related}
    found = {name_of(ref), *map(name_of, related)}
    rules: frozenset[tuple[ObjectName, int]] = frozenset()
    if ref.kind in ROUTE_KINDS and rule is not None:
        found, rules = set(), frozenset({(name_of(ref), rule)})
    for one in (ref, *related):
        known = snapshot.get(one)
        if known is not None and (one == ref or one.kind not in (GATEWAY, *_EVERYTHING)):
            found |= set(_around(snapshot, known, finding))
    objects = frozenset(found)
    routes = objects | {owner for owner, _ in rules}
    serving = _gateways_of(snapshot, routes) - objects
    streams = frozenset(name for name in routes if name.kind in _STREAMS)
    return Reach(
        objects,
        rules,
        serving if ref.kind in (*_OF_ROUTES, HTTP_ROUTE_FILTER, GRPC_ROUTE) else frozenset(),
        _gateways_of(snapshot, streams) - objects,
    )


def _gateways_of(snapshot: Snapshot, routes: frozenset[ObjectName]) -> frozenset[ObjectName]:
    known = _serving(snapshot)
    return frozenset(gateway for route in routes for gateway in known.get(route, ()))


@per_snapshot
def _serving(snapshot: Snapshot) -> dict[ObjectName, tuple[ObjectName, ...]]:
    """Return the Gateways of each route."""
    return {
        name_of(attachment.route.ref): tuple(
            name_of(gateway.ref) for gateway in attachment.gateways
        )
        for attachment in world(snapshot).routes()
    }


def _rule(finding: Finding) -> int | None:
    path = finding.at.path
    if path[:2] == ("spec", "rules") and len(path) > 2 and isinstance(path[2], int):
        return path[2]
    return None


def _around(snapshot: Snapshot, resource: Resource, finding: Finding) -> Iterator[ObjectName]:
    """Yield the objects that an object changes the configuration of."""
    kind = resource.kind
    if kind in _TARGETING:
        for target, _ in targets(resource, snapshot):
            yield name_of(target.ref)
            # a policy that breaks a listener takes its routes along
            breaks = finding.code in _BREAKING or (
                kind == CLIENT_TRAFFIC_POLICY and finding.severity == Severity.ERROR
            )
            if target.kind == GATEWAY and (kind in _OF_ROUTES or breaks):
                yield from _routes_of(snapshot, (target,))
            elif target.kind in (SERVICE, BACKEND, SERVICE_IMPORT):
                yield from _users(snapshot, target.ref)
    elif kind == GATEWAY:
        yield from _routes_of(snapshot, (resource,))
    elif kind in _EVERYTHING:
        gateways = world(snapshot).gateways
        yield from (name_of(gateway.ref) for gateway in gateways)
        yield from _routes_of(snapshot, gateways)
    elif kind in (SERVICE, BACKEND, SERVICE_IMPORT):
        yield from _users(snapshot, resource.ref)
    elif kind == HTTP_ROUTE_FILTER:
        yield from _extended(snapshot, resource)


def _routes_of(snapshot: Snapshot, gateways: Iterable[Resource]) -> Iterator[ObjectName]:
    wanted = {name_of(gateway.ref) for gateway in gateways}
    for route, serving in _serving(snapshot).items():
        if wanted.intersection(serving):
            yield route


def _users(snapshot: Snapshot, backend: Ref) -> Iterator[ObjectName]:
    yield from _using(snapshot).get(backend, ())


@per_snapshot
def _using(snapshot: Snapshot) -> dict[Ref, dict[ObjectName, None]]:
    """Return the routes that send or mirror requests to each backend."""
    found: dict[Ref, dict[ObjectName, None]] = {}
    for attachment in world(snapshot).routes():
        for one in (*backend_refs(attachment.route), *mirror_refs(attachment.route)):
            if one.ref is not None:
                found.setdefault(one.ref, {})[name_of(attachment.route.ref)] = None
    return found


def _extended(snapshot: Snapshot, resource: Resource) -> Iterator[ObjectName]:
    for attachment in world(snapshot).routes():
        route = attachment.route
        if route.namespace != resource.namespace:
            continue
        for entry in entries(route.spec, "rules"):
            for _, one in items(entry, "filters"):
                if text(one, "extensionRef", "name") == resource.name:
                    yield name_of(route.ref)
