"""Which filter chain of a listener takes a connection.

Envoy asks one criterion after the other, takes the most specific value present in any chain, and
never comes back: a chain that fits worse on an earlier criterion is lost even if the better ones
all fail later.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from egops.xds.config_dump import EMPTY, plain, type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egops.xds.config_dump import FilterChain, Listener

SDS_CONTEXT = "validation_context_sds_secret_config"
TLS = frozenset({"DownstreamTlsContext", "QuicDownstreamTransport"})


class Cidr(Struct, frozen=True, gc=False):
    """`core.v3.CidrRange`."""

    address_prefix: str = ""
    prefix_len: int = 0

    @property
    def network(self) -> IPv4Network | IPv6Network | None:
        """Return the network, or None if it is malformed."""
        try:
            return ip_network(f"{self.address_prefix}/{self.prefix_len}", strict=False)
        except ValueError:
            return None


class ChainMatch(Struct, frozen=True, gc=False):
    """`config.listener.v3.FilterChainMatch`."""

    destination_port: int = 0
    prefix_ranges: list[Cidr] = []
    server_names: list[str] = []
    transport_protocol: str = ""
    application_protocols: list[str] = []
    direct_source_prefix_ranges: list[Cidr] = []
    source_type: str = "ANY"
    source_prefix_ranges: list[Cidr] = []
    source_ports: list[int] = []


@dataclass(frozen=True)
class Connection:
    """A connection: what is empty is not known (addresses) or not offered (SNI, ALPN)."""

    tls: bool
    sni: str = ""
    alpn: tuple[str, ...] = ()
    source: str = ""
    source_port: int = 0
    destination: str = ""
    port: int = 0


@dataclass(frozen=True)
class Picked:
    """The chain, or None; `unsure` names the criterion that could not be judged."""

    chain: FilterChain | None
    unsure: str = ""
    why: str = ""


def is_tls(chain: FilterChain) -> bool:
    """Return whether a chain terminates TLS (or QUIC)."""
    config = tls_config(chain)
    return config is not None


def tls_config(chain: FilterChain) -> dict[str, Any] | None:
    """Return the TLS settings of a chain, or None if it takes plain connections."""
    if not chain.transport_socket:
        return None
    socket = plain(chain.transport_socket)
    config = socket.get("typed_config") if isinstance(socket, dict) else None
    if not isinstance(config, dict):
        return {} if isinstance(socket, dict) and "tls" in str(socket.get("name", "")) else None
    kind = type_of(Raw(msgspec.json.encode(config))).rpartition(".")[2]
    if kind in TLS:
        nested = config.get("downstream_tls_context")
        return nested if isinstance(nested, dict) else config
    return None


def wants_client_certificate(config: dict[str, Any]) -> bool:
    """Return whether the TLS settings make the server ask for a client certificate."""
    common = config.get("common_tls_context")
    common = common if isinstance(common, dict) else {}
    contexts = ("validation_context", "combined_validation_context", SDS_CONTEXT)
    return bool(config.get("require_client_certificate")) or any(key in common for key in contexts)


def inspects_tls(listener: Listener) -> bool:
    """Return whether the listener tells TLS from plain text; without, SNI and ALPN are unseen."""
    return any(
        entry.type == "TlsInspector" or "tls_inspector" in entry.name
        for entry in listener.listener_filters
    ) or (listener.address.socket_address.protocol == "UDP")


def chain_match(chain: FilterChain) -> ChainMatch:
    """Return what a chain takes."""
    raw = chain.filter_chain_match or EMPTY
    try:
        return msgspec.json.decode(raw, type=ChainMatch) if raw else ChainMatch()
    except msgspec.MsgspecError:  # it then fits whatever the others leave
        return ChainMatch()


Entry = tuple["ChainMatch", "FilterChain"]


class Chains:
    """A listener's filter chains, their conditions decoded once."""

    def __init__(self, listener: Listener) -> None:
        """Take the listener."""
        self.listener = listener
        self.inspected = inspects_tls(listener)
        self.entries: list[Entry] = [(chain_match(c), c) for c in listener.filter_chains]
        self.plain = all(match == ChainMatch() for match, _ in self.entries)
        http = [chain for chain in listener.chains if is_http(chain)]
        self.takes_http = bool(http)
        self.takes_tls = any(map(is_tls, http))
        self.takes_plain = any(not is_tls(chain) for chain in http)

    def pick(self, connection: Connection) -> Picked:
        """Return the chain that takes a connection; the default chain if none does."""
        listener = self.listener
        if listener.filter_chain_matcher:
            return Picked(None, "filter_chain_matcher")
        if self.plain:
            only = self.entries[0][1] if self.entries else listener.default_filter_chain
            return Picked(only)
        entries: Sequence[Entry] = self.entries
        for name, narrow in _criteria(connection, inspected=self.inspected):
            found = narrow(entries)
            if found is None:
                return Picked(None, name)
            if not found:
                return Picked(listener.default_filter_chain, why=name)
            entries = found
        return Picked(entries[0][1])


def is_http(chain: FilterChain) -> bool:
    """Return whether a chain has an HTTP connection manager."""
    return any(entry.type == "HttpConnectionManager" for entry in chain.filters)


def _criteria(connection: Connection, *, inspected: bool) -> list[tuple[str, Any]]:
    tls = connection.tls
    sni = connection.sni.lower() if inspected and tls else ""
    alpn = connection.alpn if inspected and tls else ()
    transport = "tls" if inspected and tls else "raw_buffer"
    return [
        ("destination_port", lambda entries: _port(entries, connection.port)),
        ("prefix_ranges", lambda entries: _networks(entries, "prefix_ranges", connection.destination)),  # noqa: E501
        ("server_names", lambda entries: _names(entries, sni)),
        ("transport_protocol", lambda entries: _one_of(entries, "transport_protocol", (transport,))),  # noqa: E501
        ("application_protocols", lambda entries: _one_of(entries, "application_protocols", alpn)),
        ("direct_source_prefix_ranges", lambda entries: _networks(entries, "direct_source_prefix_ranges", connection.source)),  # noqa: E501
        ("source_type", lambda entries: _source_type(entries, connection)),
        ("source_prefix_ranges", lambda entries: _networks(entries, "source_prefix_ranges", connection.source)),  # noqa: E501
        ("source_ports", lambda entries: _source_port(entries, connection.source_port)),
    ]  # fmt: skip


def _port(entries: Sequence[Entry], port: int) -> list[Entry]:
    exact = [entry for entry in entries if port and entry[0].destination_port == port]
    return exact or [entry for entry in entries if not entry[0].destination_port]


def _source_port(entries: Sequence[Entry], port: int) -> list[Entry] | None:
    anyone = [entry for entry in entries if not entry[0].source_ports]
    if len(anyone) == len(entries):
        return list(entries)
    if not port:
        return None
    return [entry for entry in entries if port in entry[0].source_ports] or anyone


def _names(entries: Sequence[Entry], sni: str) -> list[Entry]:
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in entry[0].server_names or [""]:
            by_name.setdefault(name.lower().removeprefix("*"), []).append(entry)
    if sni and sni in by_name:
        return by_name[sni]
    at = sni.find(".", 1)
    while 0 < at < len(sni) - 1:
        if sni[at:] in by_name:
            return by_name[sni[at:]]
        at = sni.find(".", at + 1)
    return by_name.get("", [])


def _one_of(entries: Sequence[Entry], field: str, offered: tuple[str, ...]) -> list[Entry]:
    def values(match: ChainMatch) -> Sequence[str]:
        value = getattr(match, field)
        return ([value] if value else []) if isinstance(value, str) else value

    for name in offered:
        if found := [entry for entry in entries if name in values(entry[0])]:
            return found
    return [entry for entry in entries if not values(entry[0])]


def _networks(entries: Sequence[Entry], field: str, address: str) -> list[Entry] | None:
    anyone = [entry for entry in entries if not getattr(entry[0], field)]
    if len(anyone) == len(entries):
        return list(entries)
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    best, found = -1, anyone
    for entry in entries:
        for cidr in getattr(entry[0], field):
            network = cidr.network
            if network is None or ip not in network or network.prefixlen < best:
                continue
            found = [*found, entry] if network.prefixlen == best else [entry]
            best = network.prefixlen
    # a chain for every address and one that names none: Envoy takes whichever it hashed last
    return None if best == 0 and anyone else found


def _source_type(entries: Sequence[Entry], connection: Connection) -> list[Entry] | None:
    kinds = {entry[0].source_type or "ANY" for entry in entries}
    if kinds == {"ANY"}:
        return list(entries)
    if not connection.source:
        return None
    local = connection.source == connection.destination or _loopback(connection.source)
    wanted = "SAME_IP_OR_LOOPBACK" if local else "EXTERNAL"
    if found := [entry for entry in entries if entry[0].source_type == wanted]:
        return found
    return [entry for entry in entries if (entry[0].source_type or "ANY") == "ANY"]


def _loopback(address: str) -> bool:
    """Return whether Envoy takes an address for loopback: 127.0.0.1 alone, not its network."""
    return address in ("127.0.0.1", "::1")
