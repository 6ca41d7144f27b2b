"""Which route a request takes: the whole way from the listener to the action, as Envoy goes it.

    walker = Walker(ConfigDump.parse(raw))
    verdict = walker.walk(Request(target=b"/cart", authority=b"shop.example.com"))

Pure: no file, no clock, no network. `walk` is made for batches; how to tell a verdict to people is
the business of `egops.xds.walk_story`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import msgspec

from egops.errors import InputError
from egops.xds.config_dump import plain
from egops.xds.match_chains import (
    Chains,
    Connection,
    tls_config,
    wants_client_certificate,
)
from egops.xds.match_request import decode, is_grpc
from egops.xds.match_table import Compiled, Host, Table, without_port
from egops.xds.match_version import Behaviour, behaviour
from egops.xds.walk_action import act, tls_redirect
from egops.xds.walk_codec import Refusal, read
from egops.xds.walk_fields import Origin
from egops.xds.walk_filters import health_answer, may_reroute, sets_metadata_early
from egops.xds.walk_manager import Manager, Upgrade, prepare

if TYPE_CHECKING:
    from egops.xds.config_dump import ConfigDump, FilterChain, Listener, LoadAssignment
    from egops.xds.match_request import Request, Seen

OUTCOMES = (
    "route",
    "redirect",
    "direct_response",
    "no_route",
    "rejected",
    "closed",
    "unknown",
)


@dataclass(slots=True)
class Verdict:
    """What becomes of a request at one listener.

    `status` is None where the backend decides it, the connection is closed, or it is unknown.
    `maybe` are routes before `route` that only the running Envoy can decide about.
    """

    outcome: str
    request: Request
    listener: Listener | None = None
    chain: FilterChain | None = None
    way: Way | None = None
    table: Table | None = None
    host: Host | None = None
    route: Compiled | None = None
    status: int | None = None
    location: str | None = None
    refusal: Refusal | None = None
    maybe: tuple[Compiled, ...] = ()
    seen: Seen | None = None
    reason: str = ""  # why it is unknown or closed
    others: list[Verdict] = field(default_factory=list)  # of further listeners that could take it


class Way:
    """One HTTP filter chain, prepared: its manager and the table it asks."""

    def __init__(self, walker: Walker, listener: Listener, chain: FilterChain) -> None:
        """Take the chain; the manager's settings are decoded at once, the table when first used."""
        self.walker = walker
        self.listener = listener
        self.chain = chain
        entry = next((f for f in chain.filters if f.type == "HttpConnectionManager"), None)
        self.manager: Manager | None = None
        self.problem = ""
        if entry is not None:
            try:
                self.manager = msgspec.json.decode(entry.typed_config, type=Manager)
            except msgspec.MsgspecError as exc:
                self.problem = f"its HTTP connection manager is unreadable: {exc}"
        config = tls_config(chain)
        self.tls = config is not None
        self.asks_certificate = config is not None and wants_client_certificate(config)

    @cached_property
    def table(self) -> Table | None:
        """Return the route table; None if the dump does not have it."""
        if self.manager is None:
            return None
        if self.manager.route_config is not None:
            return Table(self.manager.route_config, self.walker.how)
        if self.manager.rds is not None:
            return self.walker.table(self.manager.rds.route_config_name)
        return None

    @cached_property
    def settled(self) -> bool:
        """Return whether nothing can have set dynamic metadata or filter state before routing."""
        assert self.manager is not None
        early = sets_metadata_early(self.listener, self.chain)
        return not early and not may_reroute(self.manager)


class Walker:
    """A dump made ready for questions; tables are indexed host by host, when first needed."""

    def __init__(self, config: ConfigDump) -> None:
        """Take the dump.

        Raises:
            InputError: it has no listener.
        """
        self.config = config
        self.how: Behaviour = behaviour(config.bootstrap)
        self.listeners = [
            entry.active.listener for entry in config.listeners if entry.active is not None
        ]
        if not self.listeners:
            raise InputError(
                "the dump has no active listener",
                hint="take the whole dump: curl 'http://127.0.0.1:19000/config_dump?include_eds'",
            )
        self._ways: dict[int, Way] = {}
        self._chains: dict[int, Chains] = {}
        self._tables: dict[str, Table | None] = {}

    @cached_property
    def clusters(self) -> frozenset[str] | None:
        """Return the names of the clusters that are there; None if the dump does not tell."""
        if not self.config.has("Clusters"):
            return None
        return frozenset(entry.cluster.name for entry in self.config.clusters)

    @cached_property
    def endpoints(self) -> dict[str, LoadAssignment]:
        """Return the load assignments by cluster; empty if the dump has none."""
        return {entry.cluster_name: entry for entry in self.config.endpoints}

    @cached_property
    def _configs(self) -> dict[str, Any]:
        return {
            entry.route_config.name: entry.route_config
            for entry in reversed(self.config.route_configs)
            if not entry.static
        }

    def table(self, name: str) -> Table | None:
        """Return the dynamic route table of that name; None if Envoy has not got it."""
        if name not in self._tables:
            config = self._configs.get(name)
            self._tables[name] = Table(config, self.how) if config is not None else None
        return self._tables[name]

    def chains(self, listener: Listener) -> Chains:
        """Return a listener's filter chains, prepared."""
        found = self._chains.get(id(listener))
        if found is None:
            found = self._chains[id(listener)] = Chains(listener)
        return found

    @cached_property
    def http_listeners(self) -> list[Listener]:
        """Return the listeners that take HTTP, without Envoy Gateway's own."""
        return [
            entry for entry in self.listeners if self.chains(entry).takes_http and not _own(entry)
        ]

    def way(self, listener: Listener, chain: FilterChain) -> Way:
        """Return a prepared filter chain."""
        found = self._ways.get(id(chain))
        if found is None:
            found = self._ways[id(chain)] = Way(self, listener, chain)
        return found

    # -------------------------------------------------------------- listeners

    def listeners_for(self, request: Request) -> list[Listener]:
        """Return the listeners that a request can be meant for, in the order of the dump.

        Raises:
            InputError: it names a listener or a port that is not there.
        """
        if request.listener:
            found = [entry for entry in self.listeners if entry.name == request.listener]
            if not found:
                names = ", ".join(sorted(entry.name for entry in self.listeners)[:8])
                raise InputError(
                    f"no active listener is called {request.listener!r}",
                    hint=f"the listeners are: {names}",
                )
            return found
        udp = request.protocol == "h3"
        typed = [
            entry
            for entry in self.http_listeners
            if (entry.address.socket_address.protocol == "UDP") == udp
        ]
        return self._by_port(typed, request)

    def _by_port(self, found: list[Listener], request: Request) -> list[Listener]:
        if request.port:
            # Envoy Gateway moves privileged ports by 10000
            for port in (request.port, request.port + 10_000):
                if at := [entry for entry in found if entry.port == port]:
                    return at
            ports = ", ".join(sorted({str(entry.port) for entry in found}))
            raise InputError(
                f"no active listener takes port {request.port}", hint=f"the ports are: {ports}"
            )
        if request.scheme:
            side = "takes_tls" if request.scheme == "https" else "takes_plain"
            return [entry for entry in found if getattr(self.chains(entry), side)] or found
        return found

    # -------------------------------------------------------------- the walk

    def judge(self, request: Request) -> Verdict:
        """Return what becomes of a request; of several listeners, at the first that serves it.

        Raises:
            InputError: it names a listener or a port that is not there.
        """
        verdicts = [self.walk(request, listener) for listener in self.listeners_for(request)]
        if not verdicts:
            raise InputError("the dump has no listener for such requests")
        best = min(verdicts, key=lambda verdict: RANK[verdict.outcome])
        if len(verdicts) > 1:
            best.others = [verdict for verdict in verdicts if verdict is not best]
        return best

    def walk(self, request: Request, listener: Listener) -> Verdict:
        """Return what becomes of a request at one listener."""
        chains = self.chains(listener)
        connection = _connection(request, chains)
        picked = chains.pick(connection)
        verdict = Verdict("closed", request, listener, picked.chain)
        if picked.unsure:
            verdict.outcome, verdict.reason = "unknown", f"the chain depends on {picked.unsure}"
            return verdict
        if picked.chain is None:
            verdict.reason = f"no filter chain fits ({picked.why})"
            return verdict
        way = verdict.way = self.way(listener, picked.chain)
        if way.problem:
            verdict.outcome, verdict.reason = "unknown", way.problem
            return verdict
        if way.manager is None:
            verdict.outcome = "route"
            verdict.reason = "no HTTP: the connection is passed on as it is"
            return verdict
        if way.tls != connection.tls:
            wants, got = ("TLS", "plain text") if way.tls else ("plain text", "TLS")
            verdict.reason = f"the filter chain takes {wants}, the client speaks {got}"
            return verdict
        return self._http(verdict, way, way.manager)

    def _http(self, verdict: Verdict, way: Way, manager: Manager) -> Verdict:
        request = verdict.request
        message = read(request, manager, self.how, tls=way.tls)
        if isinstance(message, Refusal):
            return _refused(verdict, message, grpc=_claims_grpc(request))
        grpc = is_grpc(message.fields.one(b"content-type")) and bool(message.path)
        origin = Origin(
            way.tls, way.listener.port, request.source, may_present=way.tls and way.asks_certificate
        )
        table = way.table
        internal_only = table.config.internal_only_headers if table is not None else ()
        seen = prepare(message, manager, self.how, origin, internal_only)
        if isinstance(seen, Refusal):
            return _refused(verdict, seen, grpc=grpc)
        seen.client_certificate = None if way.tls and way.asks_certificate else False
        seen.metadata_empty = way.settled
        verdict.seen = seen
        verdict.table = table
        if table is None:
            verdict.outcome = "unknown"
            verdict.reason = _no_table(manager, has_routes=self.config.has("Routes"))
            return verdict
        seen.bare = table.bare_path(seen.path)
        self._route(verdict, table, seen)
        self._after(verdict, manager, seen)
        return verdict

    def _route(self, verdict: Verdict, table: Table, seen: Seen) -> None:
        host = verdict.host = _host_of(table, seen)
        if host is None or not seen.forwarded_proto:  # an empty x-forwarded-proto routes nowhere
            verdict.outcome, verdict.status = "no_route", 404
            return
        need = host.virtual_host.require_tls
        if need in ("ALL", "EXTERNAL_ONLY") and seen.forwarded_proto != "https":
            internal = need == "EXTERNAL_ONLY" and b"x-envoy-internal" in seen.fields.lines
            if not internal:
                verdict.outcome, verdict.status = "redirect", 301
                verdict.location = tls_redirect(seen) if seen.path else None
                return
        if table.config.route_specifiers or host.virtual_host.route_specifiers:
            verdict.outcome = "unknown"
            verdict.reason = "an extension (route_specifiers) may choose another route"
            return
        hit = host.find(seen)
        verdict.route, verdict.maybe = hit.route, hit.maybe
        if hit.unsure:
            verdict.outcome = "unknown"
            verdict.reason = "where the matcher tree leads to can't be known offline"
        elif hit.maybe:
            verdict.outcome = "unknown"
            verdict.reason = "a route's conditions can't be known offline"
        elif hit.route is None:
            verdict.outcome, verdict.status = "no_route", 404
        else:
            action = act(hit.route, seen, self.clusters)
            verdict.outcome, verdict.status, verdict.location = action

    def _after(self, verdict: Verdict, manager: Manager, seen: Seen) -> None:
        """Apply what the manager and its filters decide once the route is known."""
        if verdict.outcome == "unknown":
            return
        routed = verdict.route is not None or verdict.outcome == "redirect"
        if routed and not _upgrade_allowed(verdict.route, manager, seen):
            verdict.outcome, verdict.status, verdict.location = "rejected", 403, None
            verdict.refusal = Refusal("upgrade", "upgrade_failed", 403)
        status = health_answer(manager, verdict.route, seen)
        if status:
            verdict.outcome, verdict.status, verdict.location = "direct_response", status, None
            verdict.refusal = None
            verdict.reason = "answered by the health check filter"
        if seen.is_grpc and verdict.status is not None:
            verdict.status = 200


def _claims_grpc(request: Request) -> bool:
    kinds = [value for name, value in request.headers if name.lower() == b"content-type"]
    return is_grpc(b",".join(filter(None, (kind.strip(b" \t") for kind in kinds))))


RANK = {
    "route": 0,
    "direct_response": 0,
    "redirect": 1,
    "unknown": 2,
    "no_route": 3,
    "rejected": 4,
    "closed": 5,
}


def _host_of(table: Table, seen: Seen) -> Host | None:
    """Return the virtual host: by the authority, or by the header that the table names."""
    name = table.config.vhost_header
    if not name or table.only_default:
        return table.host_for(seen.authority)
    lines = seen.fields.lines.get(name.lower().encode("utf-8"))
    return table.host_for(lines[0]) if lines else None


def _refused(verdict: Verdict, refusal: Refusal, *, grpc: bool) -> Verdict:
    verdict.outcome, verdict.refusal = "rejected", refusal
    verdict.status = refusal.status
    if refusal.status == 307 and refusal.location:
        verdict.location = decode(refusal.location.encode("latin-1"))
    if grpc and refusal.stage != "codec":
        verdict.status, verdict.location = 200, None
    return verdict


def _no_table(manager: Manager, *, has_routes: bool) -> str:
    if manager.scoped_routes:
        return "the route table depends on scoped routes"
    name = manager.rds.route_config_name if manager.rds is not None else ""
    if not has_routes:
        return f"the dump has no route section, so route table {name!r} is not known"
    return f"Envoy has not received route table {name!r} yet: RDS is not loaded"


def _own(listener: Listener) -> bool:
    """Return whether a listener is Envoy Gateway's own: readiness and metrics."""
    return listener.name.startswith("envoy-gateway-proxy-")


def _connection(request: Request, chains: Chains) -> Connection:
    listener = chains.listener
    tls = request.scheme == "https" or bool(request.sni) or request.protocol == "h3"
    if not request.scheme and not request.sni:
        tls = not chains.takes_plain
    sni = request.sni or ""
    if tls and request.sni is None:
        host = decode(without_port(request.authority or b"")).rstrip(".")
        sni = "" if is_address(host) else host
    alpn = request.alpn or (("h2",) if request.protocol == "h2" else ("http/1.1",))
    bound = listener.address.socket_address.address
    local = "" if bound in ("0.0.0.0", "::") else bound  # noqa: S104 - compared, not bound
    return Connection(tls, sni, alpn, request.source, destination=local, port=listener.port)


def is_address(host: str) -> bool:
    """Return whether a host is an IP address: those are no server names."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _upgrade_allowed(route: Compiled | None, manager: Manager, seen: Seen) -> bool:
    """Return whether the route or the manager lets the wanted upgrade (or CONNECT) through."""
    if seen.method == b"CONNECT":
        wanted = "connect"
    elif b"upgrade" in seen.fields.lines:
        wanted = decode(seen.fields.one(b"upgrade")).lower()
    else:
        return True
    action = plain(route.route.route) if route is not None and route.route.route else None
    own = action.get("upgrade_configs", []) if isinstance(action, dict) else []
    for entry in (*msgspec.convert(own, list[Upgrade]), *manager.upgrade_configs):
        if entry.upgrade_type.lower() == wanted:
            return entry.enabled
    return False
