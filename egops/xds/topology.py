"""How the parts of a dump hang together: which listener and filter chain uses which routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw, Struct, field

from egops.xds import names, owners
from egops.xds.config_dump import Filter, FilterChain, Listener, lenient, plain, type_of
from egops.xds.names import PortName
from egops.xds.owners import GatewayListener, Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.config_dump import ConfigDump, ListenerEntry

EMPTY = Raw()


class _Rds(Struct, gc=False):
    route_config_name: str = ""


class _Named(Struct, gc=False):
    name: str = ""


class _Weighted(Struct, gc=False):
    clusters: list[_Named] = []


class HttpManager(Struct, gc=False):
    """The parts of an HTTP connection manager that tell where requests go."""

    stat_prefix: str = ""
    rds: _Rds | None = None
    route_config: _Named | None = None
    http_filters: list[Filter] = []

    @property
    def route_config_name(self) -> str:
        """Return the route configuration it uses, by RDS or inline."""
        if self.rds is not None:
            return self.rds.route_config_name
        return self.route_config.name if self.route_config else ""


class _TcpProxy(Struct, gc=False):
    stat_prefix: str = ""
    cluster: str = ""
    weighted_clusters: _Weighted | None = None


class _ChainMatch(Struct, gc=False):
    server_names: list[str] = []
    transport_protocol: str = ""
    application_protocols: list[str] = []


class _TlsContext(Struct, gc=False):
    alpn_protocols: list[str] = []
    tls_certificate_sds_secret_configs: list[_Named] = []
    validation_context_sds_secret_config: _Named | None = None
    combined_validation_context: Raw = EMPTY


class _DownstreamTls(Struct, gc=False):
    common_tls_context: _TlsContext = field(default_factory=_TlsContext)
    require_client_certificate: bool = False
    downstream_tls_context: Raw = EMPTY  # QUIC wraps it


class _TransportSocket(Struct, gc=False):
    name: str = ""
    typed_config: Raw = EMPTY


class Chain(Struct, frozen=True, gc=False, omit_defaults=True):
    """One filter chain: who it takes and where it leads.

    `type` is `http`, `tcp`, `udp` or the name of an unknown network filter.
    """

    name: str
    type: str
    server_names: tuple[str, ...] = field(default=(), name="sni")
    tls: bool = False
    alpn: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    client_certificates: bool = field(default=False, name="requiresClientCertificate")
    route_config: str = field(default="", name="routeConfig")
    clusters: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    stat_prefix: str = field(default="", name="statPrefix")
    owner: GatewayListener | Owner | None = None


class Socket(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a route configuration is served: a listener, and a filter chain of it."""

    listener: str
    address: str
    port: int
    protocol: str = "TCP"
    chain: str = field(default="", name="filterChain")
    tls: bool = False
    server_names: tuple[str, ...] = field(default=(), name="sni")
    state: str = "active"


def states(entry: ListenerEntry) -> Iterator[tuple[str, Listener]]:
    """Yield the states of a listener that hold a configuration, and the listener in it."""
    for state in ("active", "warming", "draining"):
        if (version := getattr(entry, state)) is not None:
            yield state, version.listener


def http_manager(chain: FilterChain) -> HttpManager | None:
    """Return the HTTP connection manager of a chain, or None."""
    for filter_ in chain.filters:
        if filter_.type == "HttpConnectionManager":
            return lenient(filter_.typed_config, HttpManager)
    return None


def chains(listener: Listener) -> Iterator[Chain]:
    """Yield the filter chains of a listener, the default one last; for UDP its listener filter."""
    if listener.address.socket_address.protocol == "UDP" and not listener.chains:
        clusters = _udp_clusters(listener)
        owner = next(filter(None, map(_route_of, clusters)), None)
        yield Chain("", "udp", clusters=clusters, owner=owner)
    for chain in listener.chains:
        yield _chain(chain)


def _chain(chain: FilterChain) -> Chain:
    match = lenient(chain.filter_chain_match, _ChainMatch) or _ChainMatch()
    tls = _tls(chain)
    owner = owners.chain_owner(chain)
    manager = http_manager(chain)
    proxy = None if manager else _tcp_proxy(chain)
    kind = "http" if manager else "tcp" if proxy else _last_filter(chain)
    clusters = _tcp_clusters(proxy) if proxy else ()
    common = tls.common_tls_context if tls else _TlsContext()
    return Chain(
        chain.name,
        kind,
        tuple(match.server_names),
        tls is not None,
        tuple(common.alpn_protocols),
        tuple(secret.name for secret in common.tls_certificate_sds_secret_configs),
        bool(tls and tls.require_client_certificate),
        manager.route_config_name if manager else "",
        clusters,
        tuple(filter_.name for filter_ in (manager.http_filters if manager else chain.filters)),
        manager.stat_prefix if manager else proxy.stat_prefix if proxy else "",
        owner
        if isinstance(owner, (GatewayListener, Owner))
        else next(filter(None, map(_route_of, clusters)), None),
    )


def _route_of(cluster: str) -> Owner | None:
    """Return the TCP, TLS or UDP route that a chain without a telling name proxies for."""
    found = owners.cluster_name_owner(cluster)
    if isinstance(found, Owner) and found.kind in ("TCPRoute", "TLSRoute", "UDPRoute"):
        return Owner(found.kind, found.namespace, found.name, "route")
    return None


def _last_filter(chain: FilterChain) -> str:
    return chain.filters[-1].name if chain.filters else "nothing"


def _tcp_proxy(chain: FilterChain) -> _TcpProxy | None:
    for filter_ in chain.filters:
        if filter_.type == "TcpProxy":
            return lenient(filter_.typed_config, _TcpProxy)
    return None


def _tcp_clusters(proxy: _TcpProxy) -> tuple[str, ...]:
    if proxy.weighted_clusters is not None:
        return tuple(entry.name for entry in proxy.weighted_clusters.clusters)
    return (proxy.cluster,) if proxy.cluster else ()


def _udp_clusters(listener: Listener) -> tuple[str, ...]:
    """Return the clusters that a UDP listener proxies to: they stand deep in a matcher."""
    return tuple(
        name
        for filter_ in listener.listener_filters
        if filter_.type == "UdpProxyConfig"
        for name in strings(plain(filter_.typed_config), "cluster")
    )


def strings(value: object, key: str) -> Iterator[str]:
    """Yield every string under `key`, at any depth of plain JSON."""
    if isinstance(value, dict):
        for name, entry in value.items():
            if name == key and isinstance(entry, str):
                yield entry
            else:
                yield from strings(entry, key)
    elif isinstance(value, list):
        for entry in value:
            yield from strings(entry, key)


def _tls(chain: FilterChain) -> _DownstreamTls | None:
    socket = lenient(chain.transport_socket, _TransportSocket)
    if socket is None or not type_of(socket.typed_config).endswith(
        ("DownstreamTlsContext", "QuicDownstreamTransport")
    ):
        return None
    found = lenient(socket.typed_config, _DownstreamTls)
    if found is not None and found.downstream_tls_context:
        found = lenient(found.downstream_tls_context, _DownstreamTls)
    return found


def sockets(dump: ConfigDump) -> dict[str, tuple[Socket, ...]]:
    """Return where each route configuration is served, by its name."""
    found: dict[str, list[Socket]] = {}
    for entry in dump.listeners:
        for state, listener in states(entry):
            for chain in chains(listener):
                if chain.route_config:
                    found.setdefault(chain.route_config, []).append(socket(listener, chain, state))
    return {name: tuple(places) for name, places in found.items()}


def not_loaded(dump: ConfigDump) -> list[str]:
    """Return the route configurations that listeners ask for and RDS has not brought."""
    loaded = {entry.route_config.name for entry in dump.route_configs}
    return sorted(name for name in sockets(dump) if name not in loaded)


def socket(listener: Listener, chain: Chain, state: str) -> Socket:
    """Return the place of a chain."""
    address = listener.address.socket_address
    return Socket(
        listener.name,
        address.address,
        address.port_value,
        address.protocol or "TCP",
        chain.name,
        chain.tls,
        chain.server_names,
        state,
    )


def listener_gateways(dump: ConfigDump) -> dict[str, tuple[GatewayListener, ...]]:
    """Return all Gateway listeners behind each xDS listener, the name's own first.

    Listeners of one port share an xDS listener; only the metadata of virtual hosts and the names of
    filter chains tell the others.
    """
    by_config = _route_config_gateways(dump)
    found: dict[str, dict[GatewayListener, None]] = {}
    for entry in dump.listeners:
        for _, listener in states(entry):
            gateways = found.setdefault(listener.name, {})
            owner = owners.listener_owner(listener)
            if isinstance(owner, GatewayListener):
                gateways[owner] = None
            for chain in chains(listener):
                if isinstance(chain.owner, GatewayListener):
                    gateways[chain.owner] = None
                gateways.update(dict.fromkeys(by_config.get(chain.route_config, ())))
    return {name: tuple(gateways) for name, gateways in found.items()}


def _route_config_gateways(dump: ConfigDump) -> dict[str, list[GatewayListener]]:
    return {
        entry.route_config.name: list(
            dict.fromkeys(
                gateway
                for host in entry.route_config.virtual_hosts
                if isinstance(gateway := owners.virtual_host_gateway(host), GatewayListener)
            )
        )
        for entry in dump.route_configs
    }


SHIFT = 10_000
"""What Envoy Gateway adds to a Gateway port below 1024, so that Envoy needs no privilege."""


def gateway_port(listener: Listener | Socket) -> int:
    """Return the Gateway's port that Envoy Gateway's rule gives for a listener's.

    Only a name of XDSNameSchemeV2 says it for sure: `useListenerPortAsContainerPort` and host
    infrastructure leave a port as it is.
    """
    name = listener.listener if isinstance(listener, Socket) else listener.name
    found = names.parse_listener(name)
    if isinstance(found, PortName):
        return found.port
    return listener.port - SHIFT if SHIFT < listener.port < SHIFT + 1024 else listener.port
