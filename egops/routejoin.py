"""Join Envoy's routes with the objects that made them: API, control plane, Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from egops.attachment import reported_parents
from egops.conditions import told, told_all
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    GATEWAY,
    HTTP_ROUTE_FILTER,
    LISTENER_SET,
    ROUTE_KINDS,
    SECURITY_POLICY,
    X_LISTENER_SET,
    Entry,
    condition,
    conditions,
    object_ref,
    our_ancestors,
    our_gateways,
    our_routes,
    parent_refs,
    rule_backend_refs,
    rules_of,
)
from egops.listeners import every_listener
from egops.policies import policies_on
from egops.snapshot import SourceType, entries, items, number, section, text
from egops.xds.actions import Backend
from egops.xds.names import MirrorCluster, parse_cluster
from egops.xds.routemap import GatewayPort, Policy, RouteRow, Written, route_rows
from egops.xds.topology import listener_gateways

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Kind, Proxy, Ref, Resource, Snapshot
    from egops.xds.actions import Action, Target
    from egops.xds.owners import Source

BY_NAME = {kind.name: kind for kind in ROUTE_KINDS}
ACTING = (SECURITY_POLICY, BACKEND_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY)


class ParentState(Struct, frozen=True, gc=False):
    """What Envoy Gateway says of one parentRef; `problems` are the conditions that are not met."""

    gateway: str
    listener: str
    accepted: bool | None
    problems: tuple[str, ...] = ()


class RuleState(Struct, frozen=True, gc=False):
    """One rule on its way API, control plane, Envoy.

    `lost_at` is empty if every proxy has it, else `control plane`, `Envoy` or `unknown`; `reason`
    says more.
    """

    kind: str
    namespace: str
    name: str
    rule: int
    section_name: str = field(name="sectionName")
    written: Written
    parents: tuple[ParentState, ...]
    programmed: tuple[str, ...]
    missing: tuple[str, ...]
    lost_at: str = field(name="lostAt")
    reason: str = ""

    def __str__(self) -> str:
        """Return `HTTPRoute/shop/cart/0`."""
        return f"{self.kind}/{self.namespace}/{self.name}/{self.rule}"


# ------------------------------------------------------------------ rows and objects


class Joiner:
    """Adds to rows what the objects of a snapshot tell."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Take the snapshot."""
        self.snapshot = snapshot
        self.ports = {
            (listener.gateway.namespace, listener.gateway.name, listener.name): listener.port
            for listener in every_listener(snapshot)
        }

    def join(self, rows: Iterable[RouteRow]) -> Iterator[RouteRow]:
        """Yield the rows with what is known of their objects."""
        return map(self.row, rows)

    def row(self, row: RouteRow) -> RouteRow:
        """Return one row with what is known of its object."""
        row = self._with_port(row)
        source = row.source
        kind = BY_NAME.get(source.kind) if source else None
        if source is None or kind is None:
            return row
        route = self.snapshot.find(kind, source.namespace, source.name)
        if route is None:
            known = self.snapshot.knows(kind)
            return replace(row, gone=f"there is no {source.object}") if known else row
        rules = dict(rules_of(route))
        index = 0 if source.rule is None else source.rule
        if (rule := rules.get(index)) is None:
            return replace(row, gone=f"it has no rule {index}, only {len(rules)}")
        at = rule.at()
        return replace(
            row,
            written=Written(at.file, at.line),
            gone=_renamed(rule, source),
            action=_with_backends(self._explained(row.action, rule), rule),
            policies=self._policies(row, route, rule),
        )

    def _with_port(self, row: RouteRow) -> RouteRow:
        gateway = row.gateway
        if gateway is None:
            return row
        port = self.ports.get((gateway.namespace, gateway.name, gateway.listener))
        if port is None:
            return row
        known: GatewayPort = replace(gateway, port=port, port_derived=UNSET)
        return replace(row, gateway=known)

    def _policies(self, row: RouteRow, route: Resource, rule: Entry) -> tuple[Policy, ...]:
        """Return the policies of the row, and those that attach to rule, route or Gateway."""
        found = {(policy.kind, policy.namespace, policy.name): policy for policy in row.policies}
        for kind in ACTING:
            for policy in self._acting(kind, row, route, text(rule.body, "name")):
                key = (kind.name, policy.namespace, policy.name)
                found.setdefault(key, Policy(*key, "attachment"))
        for policy in self._of_gateway(CLIENT_TRAFFIC_POLICY, row):
            key = (CLIENT_TRAFFIC_POLICY.name, policy.namespace, policy.name)
            found.setdefault(key, Policy(*key, "attachment"))
        return tuple(found.values())

    def _acting(self, kind: Kind, row: RouteRow, route: Resource, rule_name: str) -> list[Resource]:
        """Return the most specific policies of a kind: rule, then route, listener, Gateway."""
        if any(policy.kind == kind.name for policy in row.policies):
            return []  # Envoy says it itself, merged ones included
        return acting_on(route, rule_name, kind, self.snapshot) or self._of_gateway(kind, row)

    def _of_gateway(self, kind: Kind, row: RouteRow) -> list[Resource]:
        gateway = row.gateway
        if gateway is None:
            return []
        owner = self.snapshot.find(GATEWAY, gateway.namespace, gateway.name)
        if gateway.listener_set is not UNSET:
            namespace, _, name = gateway.listener_set.partition("/")
            owner = next(
                filter(
                    None,
                    (
                        self.snapshot.find(k, namespace, name)
                        for k in (LISTENER_SET, X_LISTENER_SET)
                    ),
                ),
                owner,
            )
        return acting_on(owner, gateway.listener, kind, self.snapshot) if owner else []

    def _explained(self, action: Action, rule: Entry) -> Action:
        """Return the action with the reason of an answer by Envoy Gateway itself."""
        answer = action.direct_response
        if answer is None or answer.by:
            return action
        if asked := self._asked_for(rule):
            told_by = replace(answer, by="HTTPRouteFilter", reason=f"{asked} asks for it")
            return replace(action, direct_response=told_by)
        why = "; ".join(self._why(rule)) or answer.reason.partition(";")[0]
        return replace(action, direct_response=replace(answer, by="Envoy Gateway", reason=why))

    def _asked_for(self, rule: Entry) -> str:
        """Return the HTTPRouteFilter of a rule that asks for a direct response."""
        for _, body in items(rule.body, "filters"):
            name = text(body, "extensionRef", "name")
            wanted = self.snapshot.find(HTTP_ROUTE_FILTER, rule.resource.namespace, name)
            if name and wanted is not None and section(wanted.spec, "directResponse"):
                return str(wanted.ref)
        return ""

    def _why(self, rule: Entry) -> Iterator[str]:
        """Yield the conditions of the route and of its policies that explain an answer."""
        route = rule.resource
        for _, entry in reported_parents(route, self.snapshot):
            yield from told_all(entry.body)
        for kind in ACTING:
            for policy, _ in policies_on(self.snapshot, kind).get(route.ref, []):
                for ancestor in our_ancestors(policy, self.snapshot):
                    found = condition(ancestor.body, "Accepted")
                    if found is not None and found.is_false:
                        yield f"{policy.ref}: {told(found)}"


def _with_backends(action: Action, rule: Entry) -> Action:
    """Return the action with what the clusters' backendRefs are."""
    if not (action.clusters or action.mirrors):
        return action
    written = [_backend(backend) for backend in rule_backend_refs(rule)]
    targets = tuple(
        replace(target, backends=_of_target(target, written)) for target in action.clusters
    )
    mirrors = tuple(replace(target, backends=_mirror(target, rule)) for target in action.mirrors)
    return replace(action, clusters=targets, mirrors=mirrors)


def _backend(backend: ObjectRef) -> Backend:
    weight = number(backend.entry.body, "weight", default=1)
    return Backend(backend.kind_name, backend.namespace, backend.name, backend.port, weight)


def _of_target(target: Target, written: list[Backend]) -> tuple[Backend, ...]:
    owner = target.owner
    if owner is None or owner.kind not in BY_NAME:
        return ()
    if owner.backend is None:
        return tuple(written)
    return (written[owner.backend],) if 0 <= owner.backend < len(written) else ()


def _mirror(target: Target, rule: Entry) -> tuple[Backend, ...]:
    """Return the backendRef of the mirror filter that a cluster's name counts."""
    found = parse_cluster(target.name)
    filters = entries(rule.body, "filters")
    if not isinstance(found, MirrorCluster) or found.filter >= len(filters):
        return ()
    body = section(filters[found.filter], "requestMirror", "backendRef")
    if not body:
        return ()
    path = (*rule.path, "filters", found.filter, "requestMirror", "backendRef")
    return (_backend(object_ref(Entry(rule.resource, path, body))),)


def _renamed(rule: Entry, source: Source) -> str | object:
    name = text(rule.body, "name")
    if source.section_name and source.section_name != name:
        now = f"named {name}" if name else "without a name"
        return f"rule {source.rule} is {now} now, Envoy has it as {source.section_name}"
    return UNSET


def acting_on(target: Resource, part: str, kind: Kind, snapshot: Snapshot) -> list[Resource]:
    """Return the policy of a kind that wins on a part (rule, listener) of a target, else on all.

    One or none: of several on the same target the oldest wins.
    """
    attached = policies_on(snapshot, kind).get(target.ref, [])
    on_part = [policy for policy, name in attached if name and name == part]
    return _oldest(on_part) or _oldest([policy for policy, name in attached if not name])


def _oldest(policies: list[Resource]) -> list[Resource]:
    """Return the one of several policies of a kind on one target that wins."""

    def age(policy: Resource) -> tuple[str, str, str]:
        return text(policy.metadata, "creationTimestamp"), policy.namespace, policy.name

    return [min(policies, key=age)] if policies else []


# ------------------------------------------------------------------ rules on their way


def rule_states(snapshot: Snapshot, proxies: tuple[Proxy, ...]) -> Iterator[RuleState]:
    """Yield every rule of our routes: what Envoy Gateway says of it, and which proxies have it."""
    having = _programmed(proxies)
    serving = {proxy.name: _gateways(proxy, snapshot) for proxy in proxies}
    for route in our_routes(snapshot, *ROUTE_KINDS):
        parents = tuple(_parents(route, snapshot))
        gateways = {parent.ref for parent in parent_refs(route) if parent.ref}
        sets = {listener_set: gateway for gateway, listener_set in _of_sets(snapshot)}
        gateways |= {sets[ref] for ref in gateways if ref in sets}
        expected = [name for name, refs in serving.items() if refs & gateways]
        for index, rule in rules_of(route):
            yield _state(rule, index, parents, expected, having, snapshot)


def _of_sets(snapshot: Snapshot) -> Iterator[tuple[Ref, Ref]]:
    for listener in every_listener(snapshot):
        if listener.owner.ref != listener.gateway.ref:
            yield listener.gateway.ref, listener.owner.ref


def _programmed(proxies: tuple[Proxy, ...]) -> dict[tuple[str, str, str, int], set[str]]:
    """Return the proxies that have each rule; a pooling kind has only rule 0."""
    found: dict[tuple[str, str, str, int], set[str]] = {}
    for proxy in proxies:
        for row in route_rows(proxy.config):
            if (source := row.source) is not None:
                rule = -1 if source.rule is None else source.rule
                key = (source.kind, source.namespace, source.name, rule)
                found.setdefault(key, set()).add(proxy.name)
    return found


def _gateways(proxy: Proxy, snapshot: Snapshot) -> set[Ref]:
    """Return the Gateways that a proxy serves: by its fleet, else by what it has."""
    fleet = proxy.fleet
    named = {
        f"{gateway.namespace}/{gateway.name}"
        for gateways in listener_gateways(proxy.config).values()
        for gateway in gateways
    }
    return {
        gateway.ref
        for gateway in our_gateways(snapshot)
        if fleet
        in (key := f"{gateway.namespace}/{gateway.name}", text(gateway.spec, "gatewayClassName"))
        or (not fleet and key in named)
    }


def _parents(route: Resource, snapshot: Snapshot) -> Iterator[ParentState]:
    reported = {parent.entry.path: entry for parent, entry in reported_parents(route, snapshot)}
    for parent in parent_refs(route):
        entry = reported.get(parent.entry.path)
        accepted = condition(entry.body, "Accepted") if entry else None
        yield ParentState(
            f"{parent.namespace}/{parent.name}",
            parent.section_name,
            None if accepted is None else accepted.is_true,
            tuple(told(found) for found in conditions(entry.body) if found.is_false)
            if entry
            else (),
        )


def _state(
    rule: Entry,
    index: int,
    parents: tuple[ParentState, ...],
    expected: list[str],
    having: dict[tuple[str, str, str, int], set[str]],
    snapshot: Snapshot,
) -> RuleState:
    route = rule.resource
    key = (route.kind.name, route.namespace, route.name)
    held = having.get((*key, index), set()) | having.get((*key, -1), set())
    missing = tuple(name for name in expected if name not in held)
    at = rule.at()
    lost, reason = "", ""
    if missing or not expected:
        lost, reason = _lost(parents, expected, held, snapshot)
    return RuleState(
        *key,
        index,
        text(rule.body, "name"),
        Written(at.file, at.line),
        parents,
        tuple(sorted(held)),
        missing,
        lost,
        reason,
    )


def _lost(
    parents: tuple[ParentState, ...], expected: list[str], held: set[str], snapshot: Snapshot
) -> tuple[str, str]:
    """Return the hop where a rule got lost, and why."""
    if held:
        return "Envoy", f"only {len(held)} of {len(expected)} proxies have it"
    refused = [
        problem for parent in parents if parent.accepted is False for problem in parent.problems
    ]
    if refused:
        return "control plane", "; ".join(dict.fromkeys(refused))
    if all(parent.accepted is None for parent in parents):
        if snapshot.source.type is not SourceType.CLUSTER:
            return "unknown", "no proxy has it, and its status is not at hand"
        return "control plane", "Envoy Gateway has written no status"
    if not expected:
        return "unknown", "no proxy of its Gateway was read"
    return "Envoy", f"accepted, but none of {len(expected)} proxies has it"
