"""Whether a feature is live in an Envoy: looked up in the parts of its dump that a scope covers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from egops.xds import owners, topology
from egops.xds.actions import action_of
from egops.xds.config_dump import keys, lenient
from egops.xds.names import BackendCluster, PolicyCluster, parse_cluster
from egops.xds.owners import GatewayListener, Owner, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egops.snapshot import Proxy
    from egops.xds.config_dump import Cluster, ConfigDump, Route

Key = tuple[str, str, str]  # kind, namespace, name
Pair = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class Scope:
    """The part of a configuration that an object acts on; `everything` is all of it.

    `policy` is the object itself where filters carry its name. `gateways` are those served by the
    object's target; with `routes` given, only these routes of them.
    """

    routes: frozenset[Key] = frozenset()
    gateways: frozenset[Pair] = frozenset()
    policy: Key | None = None
    everything: bool = False

    def has_route(self, source: Source | None, gateway: GatewayListener | None) -> bool:
        """Return whether a route is in the scope."""
        if self.everything:
            return True
        if self.routes:
            return source is not None and (
                (source.kind, source.namespace, source.name) in self.routes
            )
        return gateway is not None and (gateway.namespace, gateway.name) in self.gateways

    def has_gateway(self, gateways: frozenset[Pair]) -> bool:
        """Return whether a listener of these Gateways is in the scope."""
        return self.everything or bool(self.gateways & gateways)


EVERYTHING = Scope(everything=True)


class _State(Struct, gc=False):
    listener: Raw = Raw()


class _Listener(Struct, gc=False):
    active_state: _State | None = None


class _Listeners(Struct, gc=False):
    static_listeners: list[_State] = []
    dynamic_listeners: list[_Listener] = []


class _Named(Struct, gc=False):
    name: str = ""


class Evidence:
    """One Envoy's configuration, indexed by what owns it."""

    def __init__(self, proxy: Proxy) -> None:
        """Take a proxy whose dump was read."""
        self.name = proxy.name
        self.dump: ConfigDump = proxy.config

    @cached_property
    def _routes(self) -> list[tuple[Route, Source | None, GatewayListener | None]]:
        found = []
        for entry in self.dump.route_configs:
            for host in entry.route_config.virtual_hosts:
                owner = owners.virtual_host_gateway(host)
                gateway = owner if isinstance(owner, GatewayListener) else None
                for route in host.routes:
                    source = owners.route_source(route)
                    found.append((route, source if isinstance(source, Source) else None, gateway))
        return found

    def routes(self, scope: Scope) -> Iterator[Route]:
        """Yield the routes in a scope."""
        for route, source, gateway in self._routes:
            if scope.has_route(source, gateway):
                yield route

    @cached_property
    def _gateways(self) -> dict[str, frozenset[Pair]]:
        return {
            name: frozenset((gateway.namespace, gateway.name) for gateway in gateways)
            for name, gateways in topology.listener_gateways(self.dump).items()
        }

    @property
    def gateways(self) -> frozenset[Pair]:
        """Return the Gateways that this Envoy serves."""
        return frozenset().union(*self._gateways.values())

    @cached_property
    def _listeners(self) -> list[tuple[frozenset[Pair], bytes]]:
        found = []
        for name, raw in self.dump.raw_sections():
            if name == "ListenersConfigDump":
                section = lenient(raw, _Listeners) or _Listeners()
                dynamic = [entry.active_state for entry in section.dynamic_listeners]
                found += [
                    state.listener for state in (*section.static_listeners, *dynamic) if state
                ]
        return [(self._gateways.get(_name(raw), frozenset()), bytes(raw)) for raw in found]

    def listeners(self, scope: Scope) -> Iterator[bytes]:
        """Yield the raw listeners in a scope."""
        for gateways, raw in self._listeners:
            if scope.has_gateway(gateways):
                yield raw

    def chains(self, scope: Scope) -> Iterator[topology.Chain]:
        """Yield the filter chains in a scope."""
        for entry in self.dump.listeners:
            if entry.active is not None and scope.has_gateway(
                self._gateways.get(entry.name, frozenset())
            ):
                yield from topology.chains(entry.active.listener)

    def clusters(self, scope: Scope) -> Iterator[Cluster]:
        """Yield the clusters of the routes in a scope; of everything, all that came by xDS."""
        used = {
            target.name
            for route in (() if scope.everything else self.routes(scope))
            for target in action_of(route).clusters
        }
        if not (scope.everything or scope.routes):
            used |= {name for chain in self.chains(scope) for name in chain.clusters}
        for entry in self.dump.clusters:
            owner = owners.cluster_owner(entry.cluster)
            if entry.state == "static" and not isinstance(owner, Owner):
                continue  # Envoy Gateway's own
            owned = isinstance(owner, Owner) and (
                owner.kind, owner.namespace, owner.name
            ) in scope.routes  # fmt: skip
            if scope.everything or owned or entry.cluster.name in used:
                yield entry.cluster


def _name(raw: Raw) -> str:
    return (lenient(raw, _Named) or _Named()).name


# ------------------------------------------------------------------ kinds of traces


def route_filter(word: str) -> Callable[[Evidence, Scope], bool]:
    """Return whether a route configures an HTTP filter whose name holds this word."""

    def live(evidence: Evidence, scope: Scope) -> bool:
        weighted = f'"envoy.filters.http.{word.removeprefix("envoy.filters.http.")}'.encode()
        return any(
            any(word in name for name in keys(route.typed_per_filter_config))
            or weighted in bytes(route.route)  # of one backendRef
            for route in evidence.routes(scope)
        )

    return live


def route_text(pattern: bytes) -> Callable[[Evidence, Scope], bool]:
    """Return whether the action or a filter configuration of a route holds this."""
    search = re.compile(pattern).search

    def live(evidence: Evidence, scope: Scope) -> bool:
        return any(
            search(bytes(route.route)) or search(bytes(route.typed_per_filter_config))
            for route in evidence.routes(scope)
        )

    return live


def listener_text(pattern: bytes, *, named: bytes = b"") -> Callable[[Evidence, Scope], bool]:
    """Return whether a listener holds this; with `named`, in a filter named after the policy."""
    search = re.compile(pattern).search

    def live(evidence: Evidence, scope: Scope) -> bool:
        for raw in evidence.listeners(scope):
            if not named or scope.policy is None:
                if search(raw):
                    return True
                continue
            kind, namespace, name = scope.policy
            mine = b"%s/%s" % (named, f"{kind.lower()}/{namespace}/{name}".encode())
            # a filter's configuration stands right after its name, before the next filter's
            for piece in raw.split(b'"envoy.filters.http.')[1:]:
                text = b"envoy.filters.http." + piece
                if text.startswith((mine + b"/", mine + b'"')) and search(text):
                    return True
        return False

    return live


def cluster_text(field: str, pattern: bytes) -> Callable[[Evidence, Scope], bool]:
    """Return whether a field of a cluster holds this."""
    search = re.compile(pattern).search

    def live(evidence: Evidence, scope: Scope) -> bool:
        return any(
            search(
                bytes(value)
                if isinstance(value := getattr(cluster, field), Raw)
                else value.encode()
            )
            for cluster in evidence.clusters(scope)
        )

    return live


def shared_limits(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a rate limit filter is there for one policy alone."""
    name = "/".join(scope.policy[1:]) + '"' if scope.policy else ""
    wanted = f'"envoy.filters.http.ratelimit/{name}'.encode()
    return any(wanted in raw for raw in evidence.listeners(scope))


def any_of(
    *traces: Callable[[Evidence, Scope], bool],
) -> Callable[[Evidence, Scope], bool]:
    """Return whether one of several traces is there."""

    def live(evidence: Evidence, scope: Scope) -> bool:
        return any(trace(evidence, scope) for trace in traces)

    return live


def policy_cluster(purpose: str) -> Callable[[Evidence, Scope], bool]:
    """Return whether Envoy calls a service for a policy: `jwt`, `extauth`, `oidc`."""

    def live(evidence: Evidence, scope: Scope) -> bool:
        for entry in evidence.dump.clusters:
            found = parse_cluster(entry.cluster.name)
            if isinstance(found, PolicyCluster) and found.purpose == purpose:
                key = (found.kind, found.namespace, found.name)
                if scope.policy in (None, key):
                    return True
        return False

    return live


def rule_names(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a route carries the name of its rule."""
    return any(
        made_by.section_name
        for route in evidence.routes(scope)
        if (made_by := route.metadata.resource) is not None
    )


def cookie_matches(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a route matches by cookies."""
    return any(b'"cookies"' in bytes(route.match) for route in evidence.routes(scope))


def merged_policies(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a route tells its policies."""
    return any(route.metadata.policies for route in evidence.routes(scope))


def answers(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a route answers 500 by itself and nobody is known to have asked for it."""
    for route in evidence.routes(scope):
        answer = action_of(route).direct_response
        if answer is not None and answer.status == 500 and not answer.by and route.name:
            return True
    return False


def invalid_share(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a route sends a share of its requests to no backend."""
    return any(b"invalid-backend-cluster" in bytes(route.route) for route in evidence.routes(scope))


def other_alpn(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a chain offers other protocols than Envoy Gateway's default."""
    return any(
        chain.alpn not in (("h2", "http/1.1"), ("h3",))
        for chain in evidence.chains(scope)
        if chain.tls and chain.type == "http"
    )


def system_trust(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a CA bundle of the system is trusted."""
    own = evidence.dump.secrets
    if any(b"/etc/ssl/certs/" in bytes(entry.secret) for entry in own):
        return True
    return cluster_text("transport_socket_matches", rb"/etc/ssl/certs/|system_ca_certificates")(
        evidence, scope
    ) or cluster_text("transport_socket", rb"/etc/ssl/certs/|system_ca_certificates")(
        evidence, scope
    )


def other_family(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a listener binds an IPv6 address."""
    return any(
        b'"address": "::"' in raw or b'"address":"::"' in raw for raw in evidence.listeners(scope)
    )


def port_names(evidence: Evidence, scope: Scope) -> bool:
    """Return whether listeners are named by port (XDSNameSchemeV2)."""
    return any(
        re.fullmatch(r"(?:tcp|udp)-\d+", entry.name) for entry in evidence.dump.listeners
    ) and bool(scope)


def listener_sets(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a listener of a ListenerSet is there."""
    return bool(scope) and any(
        gateway.listener_set
        for gateways in topology.listener_gateways(evidence.dump).values()
        for gateway in gateways
    )


def draining(evidence: Evidence, scope: Scope) -> bool:
    """Return whether an endpoint is marked as draining; the config dump alone says unhealthy."""
    del scope
    return any(
        endpoint.health_status == "DRAINING"
        for assignment in evidence.dump.endpoints
        for locality in assignment.endpoints
        for endpoint in locality.lb_endpoints
    )


def merged_backends(evidence: Evidence, scope: Scope) -> bool:
    """Return whether a cluster is shared by the rules that name one backend."""
    del scope
    return any(
        isinstance(parse_cluster(entry.cluster.name), BackendCluster)
        for entry in evidence.dump.clusters
    )
