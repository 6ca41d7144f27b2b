"""Every Envoy route of a dump with the rule that made it: the rows of `egops routes map`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from egops.xds import names, owners, topology, words
from egops.xds.actions import Action, DirectResponse, action_of, target_of
from egops.xds.config_dump import keys
from egops.xds.names import ObjectName, PortName
from egops.xds.owners import Conflict, GatewayListener, Own, Owner, Source
from egops.xds.topology import Chain, Socket, gateway_port
from egops.xds.words import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.xds.config_dump import (
        ConfigDump,
        Listener,
        ListenerEntry,
        Route,
        RouteConfigEntry,
        VirtualHost,
    )


class Place(Struct, frozen=True, gc=False):
    """Where a route stands in Envoy; a filter chain without HTTP has empty names."""

    route_config: str
    virtual_host: str
    route: str
    domains: tuple[str, ...] = ()
    listeners: tuple[Socket, ...] = ()
    filter_chain: str | UnsetType = UNSET  # of TCP, TLS and UDP routes


class GatewayPort(Struct, frozen=True, gc=False):
    """A Gateway's listener and its port.

    `port_derived` tells that the port was worked out from Envoy's (10080 is 80), not read.
    """

    namespace: str
    name: str
    listener: str
    port: int | None = None
    listener_set: str | UnsetType = field(default=UNSET, name="listenerSet")
    port_derived: bool | UnsetType = field(default=UNSET, name="portDerived")

    def __str__(self) -> str:
        """Return `edge/public/https`."""
        return f"{self.namespace}/{self.name}/{self.listener}"


class Policy(Struct, frozen=True, gc=False):
    """A policy that acts on a route, and what tells so: `metadata`, `filter` or `attachment`."""

    kind: str
    namespace: str
    name: str
    origin: str = field(name="from")


class Written(Struct, frozen=True, gc=False):
    """Where a rule is written; `file` is empty for objects of a cluster."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return `shop/cart.yaml:31`."""
        return f"{self.file}:{self.line}" if self.file else ""


class RouteRow(Struct, frozen=True, gc=False):
    """One Envoy route; `source` is None for a `conflict`, an `own` route, or if nobody owns it."""

    envoy: Place
    source: Source | None
    gateway: GatewayPort | None
    match: Match
    action: Action
    policies: tuple[Policy, ...] = ()
    filters: tuple[str, ...] = ()  # per-route configuration, by filter name
    conflict: Conflict | UnsetType = UNSET
    own: str | UnsetType = UNSET  # what Envoy Gateway uses it for
    proxy: str | UnsetType = UNSET
    proxies: tuple[str, ...] | UnsetType = UNSET  # all that have exactly this route
    written: Written | UnsetType = UNSET  # where the rule stands, if its object is at hand
    gone: str | UnsetType = UNSET  # why the object cannot have made this route now

    HEADERS: ClassVar = ("GATEWAY", "HOST", "MATCH", "OWNER", "ACTION")
    WIDE: ClassVar = ("ROUTE", "TIMEOUT", "RETRIES", "POLICIES", "FILTERS", "WRITTEN", "GONE")

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        gateway = self.gateway
        return (
            f"{gateway.namespace}/{gateway.name}/{gateway.listener}" if gateway else "",
            ",".join(self.envoy.domains),
            str(self.match),
            self.owner_text,
            str(self.action),
        )

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        action = self.action
        return (
            self.envoy.route,
            action.timeout,
            str(action.retries or ""),
            ",".join(f"{policy.kind}/{policy.namespace}/{policy.name}" for policy in self.policies),
            ",".join(name.removeprefix("envoy.filters.http.") for name in self.filters),
            "" if self.written is UNSET else str(self.written),
            "" if self.gone is UNSET else self.gone,
        )

    @property
    def owner_text(self) -> str:
        """Return the owner in one word, for tables."""
        if self.source is not None:
            return str(self.source)
        if self.conflict is not UNSET:
            return "<conflict>"
        return f"<{self.own}>" if self.own is not UNSET else "<none>"


def route_rows(dump: ConfigDump, proxy: str | UnsetType = UNSET) -> Iterator[RouteRow]:
    """Yield every route in the order of Envoy's tables, then the chains of TCP, TLS and UDP."""
    places = topology.sockets(dump)
    for entry in dump.route_configs:
        sockets = places.get(entry.route_config.name, ())
        for host in entry.route_config.virtual_hosts:
            yield from _host_rows(entry, host, sockets, proxy)
    yield from chain_rows(dump, proxy)


def _host_rows(
    entry: RouteConfigEntry,
    host: VirtualHost,
    sockets: tuple[Socket, ...],
    proxy: str | UnsetType,
) -> Iterator[RouteRow]:
    owner = owners.virtual_host_gateway(host)
    gateway = _gateway(owner, sockets)
    config, domains = entry.route_config.name, tuple(host.domains)
    for route in host.routes:
        place = Place(config, host.name, route.name, domains, sockets)
        yield _row(place, route, host, gateway, proxy)


def _row(
    place: Place,
    route: Route,
    host: VirtualHost,
    gateway: GatewayPort | None,
    proxy: str | UnsetType,
) -> RouteRow:
    found = owners.route_source(route, host)
    source = found if isinstance(found, Source) else None
    grpc = source is not None and source.kind == "GRPCRoute"
    action = action_of(route, source)
    filters = keys(route.typed_per_filter_config)
    own = found.purpose if isinstance(found, Own) else UNSET
    return RouteRow(
        place,
        source,
        gateway,
        words.match_of(route.match, grpc=grpc),
        _own_answer(action) if own is not UNSET else action,
        _policies(route, filters),
        filters,
        found if isinstance(found, Conflict) else UNSET,
        own,
        proxy,
    )


def _own_answer(action: Action) -> Action:
    answer = action.direct_response
    if answer is None:
        return action
    own = DirectResponse(answer.status, answer.body, "Envoy Gateway")
    return msgspec.structs.replace(action, direct_response=own)


def _gateway(owner: object, sockets: tuple[Socket, ...]) -> GatewayPort | None:
    if not isinstance(owner, GatewayListener):
        return None
    named = {gateway_port(socket): socket for socket in sockets}
    port = next(iter(named)) if len(named) == 1 else None
    derived = True if port is not None and port != named[port].port else UNSET
    return GatewayPort(
        owner.namespace,
        owner.name,
        owner.listener,
        port,
        owner.listener_set or UNSET,
        derived,
    )


def _policies(route: Route, filters: tuple[str, ...]) -> tuple[Policy, ...]:
    """Return the policies that metadata (1.7 on) and the names of filters tell."""
    merged = route.metadata.policies
    if not filters or not any("/" in name for name in filters):
        if not merged:
            return ()
        return tuple(
            Policy(policy.kind, policy.namespace, policy.name, "metadata") for policy in merged
        )
    found = {
        ObjectName(policy.kind, policy.namespace, policy.name): "metadata" for policy in merged
    }
    for name in filters:
        if "/" in name and (owner := owners.filter_owner(name)) is not None:
            found.setdefault(owner.object, "filter")
    return tuple(Policy(*policy, origin) for policy, origin in found.items()) if found else ()


def merged_rows(dumps: Iterable[tuple[str, ConfigDump]]) -> Iterator[RouteRow]:
    """Yield the routes of several proxies, equal ones once, with the names of those that have it.

    A proxy that has a route in another version shows as a row of its own.
    """
    found: dict[RouteRow, list[str]] = {}
    for name, dump in dumps:
        for row in route_rows(dump):
            holders = found.setdefault(row, [])
            if name not in holders:
                holders.append(name)
    for row, holders in found.items():
        yield msgspec.structs.replace(row, proxies=tuple(holders))


# ------------------------------------------------------------------ TCP, TLS, UDP


def chain_rows(dump: ConfigDump, proxy: str | UnsetType = UNSET) -> Iterator[RouteRow]:
    """Yield a row for each filter chain that forwards without HTTP."""
    fleet = dump.local_cluster_name
    for entry in dump.listeners:
        for state, listener in topology.states(entry):
            for chain in topology.chains(listener):
                if chain.type in ("tcp", "udp"):
                    row = _chain_row(entry, listener, chain, state, fleet)
                    yield msgspec.structs.replace(row, proxy=proxy)


def _chain_row(
    entry: ListenerEntry, listener: Listener, chain: Chain, state: str, fleet: str
) -> RouteRow:
    place = topology.socket(listener, chain, state)
    owner = chain.owner if isinstance(chain.owner, Owner) else None
    source = Source(owner.kind, owner.namespace, owner.name, _chain_rule(chain)) if owner else None
    gateway: object = owners.listener_owner(listener)
    if isinstance(gateway, PortName) and (own := names.parse_fleet(fleet)) and not own.merged:
        gateway = GatewayListener(own.namespace, own.name)  # a port's name tells no listener
    targets = tuple(target_of(name) for name in chain.clusters)
    match = Match(other=tuple(f"SNI {name}" for name in chain.server_names))
    return RouteRow(
        Place("", "", "", chain.server_names, (place,), chain.name),
        source,
        _gateway(gateway, (place,)),
        match,
        Action(chain.type, targets, other="" if targets else "nothing"),
        own=UNSET if source else _own_chain(entry, chain),
    )


def _own_chain(entry: ListenerEntry, chain: Chain) -> str | UnsetType:
    if chain.clusters == (names.EMPTY_CLUSTER,):
        return names.OWN_CLUSTERS[names.EMPTY_CLUSTER]
    return "bootstrap" if entry.static else UNSET


def _chain_rule(chain: Chain) -> int | None:
    """Return the rule: pooled kinds have none."""
    for name in chain.clusters:
        found = owners.cluster_name_owner(name)
        if isinstance(found, Owner) and found.rule is not None and found.rule >= 0:
            return found.rule
    return None
