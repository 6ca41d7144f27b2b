"""Which features are asked for, whether each is live in each Envoy, and where it got lost.

The hops are API (the object's target), control plane (its release, the policy's status), Envoy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct, field

from egops.conditions import told
from egops.features.catalogue import FEATURES, PROXY, Feature
from egops.features.evidence import EVERYTHING, Evidence, Scope
from egops.gatewayapi import (
    BACKEND,
    EG_POLICY_KINDS,
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE_FILTER,
    ROUTE_KINDS,
    condition,
    our_ancestors,
    our_gateways,
    our_parents,
    parent_refs,
    rules_of,
    running_version,
)
from egops.listeners import every_listener
from egops.policies import targets
from egops.snapshot import SourceType, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.features.catalogue import Path
    from egops.snapshot import Kind, Proxy, Resource, Snapshot


class Ask(Struct, frozen=True, gc=False):
    """One object that asks for a feature; `lost_at` is empty where all its proxies have it."""

    object: str
    file: str
    line: int
    live: tuple[str, ...]
    missing: tuple[str, ...]
    lost_at: str = field(default="", name="lostAt")
    reason: str = ""


class FeatureRow(Struct, frozen=True, gc=False):
    """A feature: who asks for it, and which proxies have it, asked or not.

    `visible` is false where it leaves no trace in Envoy; then `live` says nothing.
    """

    name: str
    since: str
    asks: tuple[Ask, ...]
    live: tuple[str, ...]
    visible: bool
    note: str
    proxies: int

    HEADERS: ClassVar = ("FEATURE", "SINCE", "ASKED-BY", "LIVE", "LOST-AT")
    WIDE: ClassVar = ("REASON", "NOTE")

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        first = [ask.object for ask in self.asks[:2]]
        more = f" and {len(self.asks) - 2} more" if len(self.asks) > 2 else ""
        live = f"{len(self.live)} of {self.proxies}" if self.visible else "not visible"
        if not (self.live or self.asks) and self.visible:
            live = ""
        lost = dict.fromkeys(ask.lost_at for ask in self.asks if ask.lost_at)
        return self.name, self.since, ", ".join(first) + more, live, ", ".join(lost)

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        reasons = (f"{ask.object}: {ask.reason}" for ask in self.asks if ask.reason)
        return "; ".join(reasons), self.note


def kinds() -> frozenset[Kind]:
    """Return the kinds that tell who asks for which feature."""
    from egops import gatewayapi as api  # noqa: PLC0415 - for its names only

    return frozenset(
        {
            *ROUTE_KINDS,
            *EG_POLICY_KINDS,
            *(kind for feature in FEATURES for kind, _ in feature.asks),
            GATEWAY,
            GATEWAY_CLASS,
            api.DEPLOYMENT,
            api.ENVOY_GATEWAY,
        }
    )


def feature_rows(snapshot: Snapshot, proxies: tuple[Proxy, ...]) -> Iterator[FeatureRow]:
    """Yield every feature, those of earlier releases first."""
    envoys = [Evidence(proxy) for proxy in proxies]
    for feature in FEATURES:
        asks = tuple(
            _ask(feature, resource, path, envoys, snapshot)
            for resource, path in asking(feature, snapshot)
        )
        live = dict.fromkeys(name for ask in asks for name in ask.live)
        if feature.live is not None and not feature.ambiguous:
            live.update((envoy.name, None) for envoy in envoys if feature.live(envoy, EVERYTHING))
        yield FeatureRow(
            feature.name,
            ".".join(map(str, feature.since)),
            asks,
            tuple(live),
            feature.live is not None,
            feature.note,
            len(envoys),
        )


# ------------------------------------------------------------------ who asks


def asking(feature: Feature, snapshot: Snapshot) -> Iterator[tuple[Resource, tuple[Any, ...]]]:
    """Yield each object that asks for a feature, and where it does so first."""
    for kind in dict.fromkeys(kind for kind, _ in feature.asks):
        paths = [path for other, path in feature.asks if other == kind]
        for resource in snapshot.all(kind):
            for path in paths:
                found = next(_values(resource.body, path, feature.values), None)
                if found is not None:
                    yield resource, found
                    break


def _values(
    value: Any, path: Path, wanted: tuple[object, ...], above: tuple[Any, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield the places where `path` leads to something that is set."""
    if not path:
        entries = value if isinstance(value, list) and wanted else [value]
        if any(_is_set(entry, wanted) for entry in entries):
            yield above
        return
    head, rest = path[0], path[1:]
    if head == "*":
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            yield from _values(entry, rest, wanted, (*above, index))
    elif isinstance(value, dict) and head in value:
        yield from _values(value[head], rest, wanted, (*above, head))


def _is_set(value: Any, wanted: tuple[object, ...]) -> bool:
    if wanted:
        return any(value is entry or value == entry for entry in wanted)
    return value is not None and value is not False


# ------------------------------------------------------------------ how far it got


def _ask(
    feature: Feature,
    resource: Resource,
    path: tuple[Any, ...],
    envoys: list[Evidence],
    snapshot: Snapshot,
) -> Ask:
    scope = scope_of(resource, snapshot)
    mine = [envoy for envoy in envoys if scope.has_gateway(envoy.gateways)]
    at = resource.at(*path)
    name = f"{resource.kind}/{resource.namespace}/{resource.name}".replace("//", "/")
    if feature.live is None:
        lost, reason = _refused(feature, resource, scope, snapshot)
        return Ask(name, at.file, at.line, (), (), lost, reason)
    live = tuple(envoy.name for envoy in mine if feature.live(envoy, scope))
    missing = tuple(envoy.name for envoy in mine if envoy.name not in live)
    lost, reason = "", ""
    if missing or not mine:
        lost, reason = _refused(feature, resource, scope, snapshot)
        if not lost:
            lost, reason = _not_in_envoy(live, mine, snapshot)
    return Ask(name, at.file, at.line, live, missing, lost, reason)


def _refused(
    feature: Feature, resource: Resource, scope: Scope, snapshot: Snapshot
) -> tuple[str, str]:
    """Return the hop before Envoy where the wish was lost, and why."""
    running = running_version(snapshot)
    if running is not None and running[:2] < feature.since:
        since = ".".join(map(str, feature.since))
        return (
            "control plane",
            f"Envoy Gateway {'.'.join(map(str, running))} lacks it (since {since})",
        )
    if resource.kind in EG_POLICY_KINDS and not scope.gateways and not scope.everything:
        return "API", "its target does not exist"
    spoken = [*our_ancestors(resource, snapshot), *our_parents(resource, snapshot)]
    for entry in spoken:
        accepted = condition(entry.body, "Accepted")
        if accepted is not None and accepted.is_false:
            return "control plane", told(accepted)
        overridden = condition(entry.body, "Overridden")
        if overridden is not None and overridden.is_true:
            return "control plane", told(overridden)
    waits = resource.kind in EG_POLICY_KINDS and not spoken
    if waits and snapshot.source.type is SourceType.CLUSTER:
        return "control plane", "Envoy Gateway has written no status"
    return "", ""


def _not_in_envoy(
    live: tuple[str, ...], mine: list[Evidence], snapshot: Snapshot
) -> tuple[str, str]:
    if not mine:
        return "unknown", "no proxy of its target was read"
    if live:
        return "Envoy", f"only {len(live)} of {len(mine)} proxies have it"
    if snapshot.source.type is SourceType.CLUSTER:
        return "Envoy", f"accepted, but none of {len(mine)} proxies has it"
    return "unknown", "no proxy has it, and the object's status is not at hand"


# ------------------------------------------------------------------ what an object acts on


def scope_of(resource: Resource, snapshot: Snapshot) -> Scope:
    """Return what of a configuration an object acts on."""
    if resource.kind in ROUTE_KINDS:
        return _of_routes([resource], snapshot)
    if resource.kind in EG_POLICY_KINDS:
        return _of_policy(resource, snapshot)
    if resource.kind == PROXY:
        return _of_proxy(resource, snapshot)
    if resource.kind in (HTTP_ROUTE_FILTER, BACKEND):
        users = [route for route in _all_routes(snapshot) if _names(route, resource)]
        return _of_routes(users, snapshot)
    return EVERYTHING


def _all_routes(snapshot: Snapshot) -> Iterator[Resource]:
    for kind in ROUTE_KINDS:
        yield from snapshot.all(kind)


def _of_routes(routes: list[Resource], snapshot: Snapshot) -> Scope:
    gateways = frozenset(pair for route in routes for pair in _gateways(route, snapshot))
    return Scope(
        frozenset((route.kind.name, route.namespace, route.name) for route in routes), gateways
    )


def _gateways(route: Resource, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield the Gateways that a route names, through a ListenerSet too."""
    sets = {
        listener.owner.ref: (listener.gateway.namespace, listener.gateway.name)
        for listener in every_listener(snapshot)
    }
    for parent in parent_refs(route):
        if parent.ref is None:
            continue
        if parent.ref.kind == GATEWAY:
            yield parent.namespace, parent.name
        elif parent.ref in sets:
            yield sets[parent.ref]


def _of_policy(policy: Resource, snapshot: Snapshot) -> Scope:
    routes, gateways = [], set()
    for target, _ in targets(policy, snapshot):
        if target.kind in ROUTE_KINDS:
            routes.append(target)
        elif target.kind == GATEWAY:
            gateways.add((target.namespace, target.name))
        else:
            gateways.update(_gateways(target, snapshot))
    key = (policy.kind.name, policy.namespace, policy.name)
    if gateways:
        return Scope(gateways=frozenset(gateways), policy=key)
    found = _of_routes(routes, snapshot)
    return Scope(found.routes, found.gateways, key)


def _of_proxy(proxy: Resource, snapshot: Snapshot) -> Scope:
    """Return the Gateways whose fleet an EnvoyProxy shapes: by class, or by Gateway."""
    classes = {
        found.name
        for found in snapshot.all(GATEWAY_CLASS)
        if text(found.spec, "parametersRef", "kind") == proxy.kind.name
        and text(found.spec, "parametersRef", "name") == proxy.name
        and text(found.spec, "parametersRef", "namespace") in (proxy.namespace, "")
    }
    gateways = frozenset(
        (gateway.namespace, gateway.name)
        for gateway in our_gateways(snapshot)
        if text(gateway.spec, "gatewayClassName") in classes
        or (
            gateway.namespace == proxy.namespace
            and text(gateway.spec, "infrastructure", "parametersRef", "name") == proxy.name
        )
    )
    return Scope(gateways=gateways)


def _names(route: Resource, wanted: Resource) -> bool:
    """Return whether a route refers to an HTTPRouteFilter or a Backend."""
    for _, rule in rules_of(route):
        filters = [filter_ for _, filter_ in items(rule.body, "filters")]
        for _, backend in items(rule.body, "backendRefs"):
            filters += [filter_ for _, filter_ in items(backend, "filters")]
            if (
                text(backend, "kind") == wanted.kind.name
                and text(backend, "name") == wanted.name
                and (text(backend, "namespace") or route.namespace) == wanted.namespace
            ):
                return True
        if wanted.kind == HTTP_ROUTE_FILTER and route.namespace == wanted.namespace:
            names = {text(filter_, "extensionRef", "name") for filter_ in filters}
            if wanted.name in names:
                return True
    return False
