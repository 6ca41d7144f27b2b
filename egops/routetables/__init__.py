"""The configuration that Envoy Gateway would make of manifests, as far as it decides routing.

A config dump for each Gateway, to be judged like one of a running Envoy. It names what Envoy
Gateway names (listeners, tables, virtual hosts, routes, clusters) but has no clusters or endpoints.
What can't be known from manifests is told with its reason, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from egops.gatewayapi import (
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    parent_refs,
    rules_of,
)
from egops.listeners import attached_listeners, hostnames_of, hosts_on, our_listeners
from egops.routetables.actions import action_of, fails, read_rule
from egops.routetables.generations import FEW, GENERATIONS, Generation, generations_of
from egops.routetables.managers import (
    API,
    filter_config,
    filters,
    in_time,
    policies_of,
    settings,
)
from egops.routetables.matches import grpc_match, http_match, order
from egops.snapshot import entries, section, text
from egops.xds.config_dump import ConfigDump
from egops.xds.match_text import regex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.listeners import Listener
    from egops.routetables.actions import Rule
    from egops.snapshot import Ref, Resource, Snapshot
    from egops.xds.walk import Verdict

__all__ = ["GENERATIONS", "Generation", "Translation", "generations_of", "translate"]

OPEN_PORTS = ((80, False), (443, True))  # of a Gateway that was not given


class Row(NamedTuple):
    """One route in the making."""

    host: str
    order: tuple[int, ...]
    route: dict[str, Any]
    filters: tuple[tuple[int, str, str], ...]
    unclear: str
    resource: Resource


class Standing(NamedTuple):
    """What a route's place depends on: how specific it is, then the object and its age."""

    rank: tuple[int, ...]
    kind: str
    object: tuple[str, str]
    created: str
    shuffled: bool

    def tie(self, other: Standing, generation: Generation) -> str:
        """Return why nothing fixes the order of two routes of the same rank, or nothing."""
        if self.shuffled:
            return "releases before 1.5 mix equals where a listener has many routes"
        if self.kind != other.kind or self.object == other.object:
            return ""
        if self.kind not in generation.sorted_kinds:
            return f"Envoy Gateway {generation.name} does not order {self.kind}s by age"
        if not (self.created and other.created):
            return "the older object wins, and the manifests do not tell their age"
        if self.created == other.created and not generation.names_decide:
            return f"both were created at the same time, as Envoy Gateway {generation.name} sees it"
        return ""


@dataclass
class Translation:
    """The configuration of one Gateway's Envoys.

    `unclear` tells why the action of a route, by name, is not known; `standings` what its place
    among the others depends on; `doubt` concerns all requests.
    """

    name: str
    generation: Generation
    document: dict[str, Any] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    standings: dict[tuple[str, str], Standing] = field(default_factory=dict)  # by virtual host
    doubt: str = ""

    def judged(self, verdict: Verdict) -> Verdict:
        """Return a verdict on these tables; unknown, with the reason, where they do not tell."""
        route, seen = verdict.route, verdict.seen
        reason = self.doubt
        if route is not None and not reason:
            reason = self.unclear.get(route.route.name, "") or self._contested(verdict)
        early = verdict.outcome == "rejected" and route is None
        if reason and seen is not None and not early and verdict.outcome != "closed":
            verdict.outcome, verdict.reason, verdict.status = "unknown", reason, None
            verdict.location = None
        return verdict

    def _contested(self, verdict: Verdict) -> str:
        """Return that another route stands as high, if nothing fixes the order of the two."""
        route, host, seen = verdict.route, verdict.host, verdict.seen
        assert route is not None
        if host is None or seen is None:
            return ""
        where = host.virtual_host.name
        mine = self.standings.get((where, route.route.name))
        if mine is None:
            return ""
        for other in host.index.candidates(seen):
            theirs = self.standings.get((where, other.route.name))
            if theirs is None or other is route or theirs.rank != mine.rank:
                continue
            why = mine.tie(theirs, self.generation)
            if why and other.matches(seen):
                verdict.maybe = (other,)
                return f"{other.route.name} matches too and stands as high: {why}"
        return ""

    @property
    def has_listener(self) -> bool:
        """Return whether there is anything to judge."""
        return bool(self.document["configs"][0]["dynamic_listeners"])

    @property
    def fingerprint(self) -> bytes:
        """Return what is the same for translations that judge alike."""
        generation = self.generation
        parts = (self.document, self.unclear, list(self.standings.values()), self.doubt)
        return msgspec.json.encode((parts, generation.sorted_kinds, generation.names_decide))

    @property
    def config(self) -> ConfigDump:
        """Return the config dump."""
        return ConfigDump.parse(msgspec.json.encode(self.document))


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
                chains.append(_chain(group, self.snapshot, secure=protocol == "HTTPS"))
            sockets.append(_socket(_name(members[0]), port, chains, secure=protocol == "HTTPS"))
        self.made.document = _dump(sockets, tables)
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
                hosts = hosts_on(route, listener)
                found[_name(listener)] += rows_of(
                    route, hosts, port, listener, self.snapshot, self.generation
                )
        return found

    def _table(self, group: list[tuple[Listener, list[Row]]]) -> dict[str, Any]:
        hosts: list[dict[str, Any]] = []
        taken: set[str] = set()
        for listener, rows in group:
            made = _hosts(rows, _name(listener), self.gateway, listener.name, self.preserves)
            for host in made:
                if host["domains"][0] in taken:
                    why = f"two listeners serve {host['domains'][0]}: Envoy refuses such a table"
                    self.made.doubt = self.made.doubt or why
                taken.add(host["domains"][0])
            hosts += made
            _note(self.made, _name(listener), rows, preserves=self.preserves)
        name = _name(group[0][0])
        return {"name": name, "virtual_hosts": hosts, "ignore_port_in_host_matching": True}


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


# ------------------------------------------------------------------ routes


def rows_of(
    route: Resource,
    hosts: list[str],
    port: int,
    listener: Listener | None,
    snapshot: Snapshot,
    generation: Generation,
) -> list[Row]:
    """Return the routes that an object becomes on a listener."""
    found: list[Row] = []
    for index, entry in rules_of(route):
        rule = read_rule(entry, snapshot)
        fault = fails(rule, generation, snapshot)
        policies = policies_of(route, text(entry.body, "name"), listener, snapshot)
        acting = tuple(filters(policies))
        matches = list(_matches(route, rule, generation))
        if any(not _regexes_are_valid(made) for _, made, _ in matches):
            if generation.since < (1, 4, 0):
                return []  # the object is refused as a whole
            continue
        for place, made, written in matches:
            prefix = written if "path_separated_prefix" in made or made.get("prefix") else ""
            action = action_of(rule, prefix, port, generation)
            if fault:
                action = {"direct_response": {"status": 500}}
            in_time(action, next((p for k, p in policies.items() if k.name[0] == "B"), None))
            base = f"{route.kind.name.lower()}/{route.namespace}/{route.name}"
            body = {
                "match": made,
                **action,
                "metadata": _metadata(route, text(entry.body, "name")),
                "typed_per_filter_config": {
                    name: filter_config(message, name) for _, name, message in acting
                },
            }
            for host in hosts:
                name = f"{base}/rule/{index}/match/{place}/{host.replace('.', '_')}"
                key = order(made, written, generation)
                found.append(Row(host, key, {"name": name, **body}, acting, rule.unclear, route))
    return found


def _matches(
    route: Resource, rule: Rule, generation: Generation
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield number, match and written path of each route of a rule."""
    grpc = route.kind == GRPC_ROUTE
    written = [match for match in entries(rule.entry.body, "matches") if isinstance(match, dict)]
    build = grpc_match if grpc else http_match
    cookies: list[Mapping[str, Any]] = [{}]
    if generation.cookies and rule.cookies:
        cookies = rule.cookies
    if not written and (grpc or cookies == [{}]):
        # the API fills in a match for an HTTPRoute, so it is never without one
        start = -1 if grpc else 0
        default: dict[str, Any] = {} if grpc else {"path": {"type": "PathPrefix", "value": "/"}}
        yield start, *build(default, cookies[0])
        return
    combined = [(match, more) for match in written or [{}] for more in cookies]
    for place, (match, more) in enumerate(combined):
        if not grpc and "path" not in match:  # as above
            match = {"path": {"type": "PathPrefix", "value": "/"}, **match}
        yield place, *build(match, more)


def _regexes_are_valid(made: Mapping[str, Any]) -> bool:
    found = [made.get("safe_regex")]
    for key in ("headers", "query_parameters", "cookies"):
        found += [entry["string_match"].get("safe_regex") for entry in made.get(key, [])]
    return all(regex(entry["regex"]) is not None for entry in found if entry)


def _metadata(resource: Resource, section_name: str) -> dict[str, Any]:
    made = {"kind": resource.kind.name, "namespace": resource.namespace, "name": resource.name}
    if section_name:
        made["sectionName"] = section_name
    return {"filter_metadata": {"envoy-gateway": {"resources": [made]}}}


# ------------------------------------------------------------------ documents


def _hosts(
    rows: list[Row], name: str, gateway: Resource | None, section_name: str, preserves: bool  # noqa: FBT001 - private
) -> list[dict[str, Any]]:  # fmt: skip
    by_host: dict[str, list[Row]] = {}
    for row in rows:
        by_host.setdefault(row.host, []).append(row)
    return [
        {
            "name": f"{name}/{host.replace('.', '_')}",
            "domains": [host],
            "routes": [
                row.route
                for row in (members if preserves else sorted(members, key=lambda r: r.order))
            ],
            **({"metadata": _metadata(gateway, section_name)} if gateway is not None else {}),
        }
        for host, members in by_host.items()
    ]


def _chain(
    group: list[tuple[Listener, list[Row]]], snapshot: Snapshot, *, secure: bool
) -> dict[str, Any]:
    listener = group[0][0]
    manager = settings(listener, snapshot)
    rows = [row for _, members in group for row in members]
    made = _chain_of(_name(listener), manager, rows, secure=secure)
    if secure and listener.hostname:
        made["filter_chain_match"] = {"server_names": [listener.hostname]}
    return made


def _chain_of(
    name: str, manager: dict[str, Any], rows: list[Row], *, secure: bool
) -> dict[str, Any]:
    found = sorted({entry for row in rows for entry in row.filters})
    manager["rds"] = {"route_config_name": name}
    manager["http_filters"] = [
        {"name": title, "disabled": True, "typed_config": {"@type": f"{API}{message}"}}
        for _, title, message in found
    ]
    kind = "envoy.filters.network.http_connection_manager"
    made: dict[str, Any] = {"name": name, "filters": [{"name": kind, "typed_config": manager}]}
    if secure:
        tls = {"@type": API + "extensions.transport_sockets.tls.v3.DownstreamTlsContext"}
        made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return made


def _socket(name: str, port: int, chains: list[dict[str, Any]], *, secure: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "address": {
            "socket_address": {
                "address": "0.0.0.0",  # noqa: S104 - what Envoy Gateway writes
                "port_value": port + 10_000 if port < 1024 else port,
            }
        },
    }
    if secure:
        inspector = {"@type": API + "extensions.filters.listener.tls_inspector.v3.TlsInspector"}
        made["listener_filters"] = [{"name": "tls_inspector", "typed_config": inspector}]
        return made | {"filter_chains": chains}
    return made | {"default_filter_chain": chains[0]}


def _dump(sockets: list[dict[str, Any]], tables: list[dict[str, Any]]) -> dict[str, Any]:
    kind = API + "admin.v3."
    return {
        "configs": [
            {
                "@type": kind + "ListenersConfigDump",
                "dynamic_listeners": [
                    {"name": socket["name"], "active_state": {"listener": socket}}
                    for socket in sockets
                ],
            },
            {
                "@type": kind + "RoutesConfigDump",
                "dynamic_route_configs": [{"route_config": table} for table in tables],
            },
        ]
    }


def _absent(
    ref: Ref, routes: list[Resource], snapshot: Snapshot, generation: Generation
) -> Translation:
    """Return the tables of a Gateway that was not given: open to every host, HTTP and HTTPS."""
    name = f"{ref.namespace}/{ref.name}"
    made = Translation(name, generation, doubt=_doubt(snapshot))
    rows = []
    for route in routes:
        hosts = hostnames_of(route) or ["*"]
        rows += rows_of(route, hosts, 80, None, snapshot, generation)
    _note(made, name, rows, preserves=False)
    for row in rows:
        if "redirect" in row.route:
            why = f"Gateway {name} was not given, so the port of the redirect is not known"
            made.unclear.setdefault(row.route["name"], why)
    table = {"name": name, "ignore_port_in_host_matching": True}
    table |= {"virtual_hosts": _hosts(rows, name, None, "", preserves=False)}
    sockets = [
        _socket(
            f"{name}/{port}",
            port,
            [_chain_of(name, _plain_settings(), rows, secure=secure)],
            secure=secure,
        )
        for port, secure in OPEN_PORTS
    ]
    made.document = _dump(sockets, [table])
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
