"""The configuration that Envoy Gateway would make of manifests, as far as it decides routing.

A config dump for each Gateway, to be judged like one of a running Envoy. It names what Envoy
Gateway names (listeners, tables, virtual hosts, routes, clusters) but has no clusters or endpoints.
What can't be known from manifests is told with its reason, never guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from egops.gatewayapi import (
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    parent_refs,
)
from egops.listeners import attached_listeners, hostnames_of, hosts_on, our_listeners
from egops.routetables.documents import chain, chain_of, dump, hosts, socket
from egops.routetables.generations import FEW, GENERATIONS, Generation, generations_of
from egops.routetables.managers import API
from egops.routetables.rows import Row, rows_of
from egops.routetables.translation import Standing, Translation
from egops.snapshot import section, text

if TYPE_CHECKING:
    from egops.listeners import Listener
    from egops.snapshot import Ref, Resource, Snapshot

__all__ = ["GENERATIONS", "Generation", "Translation", "generations_of", "translate"]

OPEN_PORTS = ((80, False), (443, True))  # of a Gateway that was not given


def translate(snapshot: Snapshot, generation: Generation) -> list[Translation]:
    """Return what the Envoys of each Gateway would get from a release of Envoy Gateway."""
    found = [
        _Gateway(gateway, snapshot, generation).translation()
        for gateway in snapshot.all(GATEWAY)
        if gateway.ref in our_listeners(snapshot)
    ]
    absent: dict[Ref, dict[Ref, Resource]] = {}
    for route in _routes(snapshot):
        for parent in parent_refs(route):
            ref = parent.ref
            if ref is not None and ref.kind == GATEWAY and snapshot.get(ref) is None:
                absent.setdefault(ref, {})[route.ref] = route
    for ref, routes in sorted(absent.items(), key=lambda pair: str(pair[0])):
        found.append(_absent(ref, list(routes.values()), snapshot, generation))
    return found


def _routes(snapshot: Snapshot) -> list[Resource]:
    """Return HTTPRoutes, then GRPCRoutes, each from old to young."""
    found = []
    for kind in (HTTP_ROUTE, GRPC_ROUTE):
        found += sorted(
            snapshot.all(kind),
            key=lambda route: (
                text(route.metadata, "creationTimestamp") or "9999",
                route.namespace,
                route.name,
            ),
        )
    return found


# ------------------------------------------------------------------ one Gateway


class _Gateway:
    def __init__(self, gateway: Resource, snapshot: Snapshot, generation: Generation) -> None:
        self.gateway = gateway
        self.snapshot = snapshot
        self.generation = generation
        self.preserves = generation.preserves_order and _preserves_order(gateway, snapshot)
        name = f"{gateway.namespace}/{gateway.name}"
        self.made = Translation(name, generation, doubt=_doubt(snapshot))

    def translation(self) -> Translation:
        listeners = [
            listener
            for owned in our_listeners(self.snapshot).values()
            for listener in owned
            if listener.gateway.ref == self.gateway.ref and listener.protocol in ("HTTP", "HTTPS")
        ]
        rows = self._rows(listeners)
        by_port: dict[tuple[int, str], list[Listener]] = {}
        for listener in listeners:
            by_port.setdefault((listener.port, listener.protocol), []).append(listener)
        sockets, tables = [], []
        for (port, protocol), members in by_port.items():
            served = [(listener, rows[_name(listener)]) for listener in members]
            groups = [[pair] for pair in served] if protocol == "HTTPS" else [served]
            chains = []
            for group in groups:
                tables.append(self._table(group))
                first = group[0][0]
                every = [row for _, own in group for row in own]
                secure = protocol == "HTTPS"
                chains.append(chain(_name(first), first, every, self.snapshot, secure=secure))
            sockets.append(socket(_name(members[0]), port, chains, secure=protocol == "HTTPS"))
        self.made.document = dump(sockets, tables)
        return self.made

    def _rows(self, listeners: list[Listener]) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {_name(listener): [] for listener in listeners}
        for route in _routes(self.snapshot):
            attached = [
                listener
                for listener in attached_listeners(route, self.snapshot)
                if _name(listener) in found
            ]
            for listener in attached:
                port = attached[0].port if self.generation.shares_redirect_port else listener.port
                served = hosts_on(route, listener)
                found[_name(listener)] += rows_of(
                    route, served, port, listener, self.snapshot, self.generation
                )
        return found

    def _table(self, group: list[tuple[Listener, list[Row]]]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        taken: set[str] = set()
        for listener, rows in group:
            made = hosts(
                rows, _name(listener), self.gateway, listener.name, preserves=self.preserves
            )
            for host in made:
                if host["domains"][0] in taken:
                    why = f"two listeners serve {host['domains'][0]}: Envoy refuses such a table"
                    self.made.doubt = self.made.doubt or why
                taken.add(host["domains"][0])
            found += made
            _note(self.made, _name(listener), rows, preserves=self.preserves)
        name = _name(group[0][0])
        return {"name": name, "virtual_hosts": found, "ignore_port_in_host_matching": True}


def _note(made: Translation, where: str, rows: list[Row], *, preserves: bool) -> None:
    shuffled = len(rows) > FEW and not made.generation.stable and not preserves
    for row in rows:
        name, resource = row.route["name"], row.resource
        if row.unclear:
            made.unclear[name] = row.unclear
        host = f"{where}/{row.host.replace('.', '_')}"
        made.standings[host, name] = Standing(
            () if preserves else row.order,
            resource.kind.name,
            (resource.namespace, resource.name),
            text(resource.metadata, "creationTimestamp"),
            shuffled,
        )


def _name(listener: Listener) -> str:
    """Return Envoy Gateway's name of a listener."""
    gateway = listener.gateway
    name = f"{gateway.namespace}/{gateway.name}"
    if listener.owner.ref != gateway.ref:
        name += f"/{listener.owner.namespace}/{listener.owner.name}"
    return f"{name}/{listener.name}"


def _preserves_order(gateway: Resource, snapshot: Snapshot) -> bool:
    """Return whether an EnvoyProxy asks to keep the order of the objects: the Gateway's, else the class's."""  # noqa: E501
    proxy = None
    infrastructure = section(gateway.spec, "infrastructure", "parametersRef")
    if text(infrastructure, "kind") == ENVOY_PROXY.name:
        proxy = snapshot.find(ENVOY_PROXY, gateway.namespace, text(infrastructure, "name"))
    if proxy is None:
        classed = snapshot.find(GATEWAY_CLASS, "", text(gateway.spec, "gatewayClassName"))
        reference = section(classed.spec, "parametersRef") if classed else {}
        namespace = text(reference, "namespace")
        proxy = snapshot.find(ENVOY_PROXY, namespace, text(reference, "name"))
    return proxy is not None and proxy.spec.get("preserveRouteOrder") is True


def _doubt(snapshot: Snapshot) -> str:
    patches = snapshot.all(ENVOY_PATCH_POLICY)
    if patches:
        return f"{patches[0].ref} patches what Envoy Gateway makes of the routes"
    return ""


def _absent(
    ref: Ref, routes: list[Resource], snapshot: Snapshot, generation: Generation
) -> Translation:
    """Return the tables of a Gateway that was not given: open to every host, HTTP and HTTPS."""
    name = f"{ref.namespace}/{ref.name}"
    made = Translation(name, generation, doubt=_doubt(snapshot))
    rows = []
    for route in routes:
        served = hostnames_of(route) or ["*"]
        rows += rows_of(route, served, 80, None, snapshot, generation)
    _note(made, name, rows, preserves=False)
    for row in rows:
        if "redirect" in row.route:
            why = f"Gateway {name} was not given, so the port of the redirect is not known"
            made.unclear.setdefault(row.route["name"], why)
    table = {"name": name, "ignore_port_in_host_matching": True}
    table |= {"virtual_hosts": hosts(rows, name, None, "", preserves=False)}
    sockets = [
        socket(
            f"{name}/{port}",
            port,
            [chain_of(name, _plain_settings(), rows, secure=secure)],
            secure=secure,
        )
        for port, secure in OPEN_PORTS
    ]
    made.document = dump(sockets, [table])
    return made


def _plain_settings() -> dict[str, Any]:
    from egops.xds.walk_manager import GATEWAY_DEFAULTS  # noqa: PLC0415 - rarely needed

    kind = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    made = msgspec.to_builtins(_set(GATEWAY_DEFAULTS))
    return {"@type": API + kind, "stat_prefix": "http", **made}


def _set(manager: Any) -> dict[str, Any]:
    """Return the fields of a struct that differ from their defaults."""
    plain = type(manager)()
    return {
        name: getattr(manager, name)
        for name in manager.__struct_fields__
        if getattr(manager, name) != getattr(plain, name)
    }
