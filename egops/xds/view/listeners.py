"""Rows of `egops inspect listeners`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import UNSET, Struct, UnsetType, field

from egops.xds import names, owners, topology
from egops.xds.config_dump import Listener, plain
from egops.xds.names import PortName
from egops.xds.owners import GatewayListener, Own, Owner
from egops.xds.topology import Chain, gateway_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.config_dump import ConfigDump, ListenerEntry


class ListenerRow(Struct, frozen=True, gc=False):
    """A listener in one of its states: active, warming, draining or rejected."""

    name: str
    address: str
    port: int
    protocol: str
    state: str
    static: bool
    owner: GatewayListener | Owner | None
    gateways: tuple[GatewayListener, ...] = ()
    chains: tuple[Chain, ...] = ()
    gateway_port: int | UnsetType = field(default=UNSET, name="gatewayPort")
    own: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    last_updated: str = field(default="", name="lastUpdated")
    proxy: str = ""

    HEADERS: ClassVar = ("NAME", "ADDRESS", "STATE", "CHAINS", "OWNER")
    WIDE: ClassVar = ("SNI", "TLS", "ROUTES", "SHARED-BY", "SINCE", "ERROR")

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        mark = "/UDP" if self.protocol == "UDP" else ""
        address = f"[{self.address}]" if ":" in self.address else self.address
        kinds = dict.fromkeys(
            f"{chain.type}+tls" if chain.tls else chain.type for chain in self.chains
        )
        count = f"{len(self.chains)} " if len(self.chains) > 1 else ""
        return (
            self.name or "(unnamed)",
            f"{address}:{self.port}{mark}",
            self.state,
            f"{count}{','.join(kinds)}",
            self.owner_text,
        )

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        names = dict.fromkeys(name for chain in self.chains for name in chain.server_names)
        tls = dict.fromkeys(name for chain in self.chains for name in chain.certificates)
        leads = dict.fromkeys(
            name for chain in self.chains for name in (chain.route_config, *chain.clusters) if name
        )
        shared = [str(gateway) for gateway in self.gateways if gateway != self.owner]
        error = self.error if self.error is not UNSET else ""
        return (
            ",".join(names), ",".join(tls), ",".join(leads), ",".join(shared), self.last_updated,
            error,
        )  # fmt: skip

    @property
    def owner_text(self) -> str:
        """Return the owner in one word."""
        if self.owner is not None:
            return str(self.owner)
        if self.own is not UNSET:
            return f"<{self.own}>"
        if self.gateways:
            return str(self.gateways[0])
        port = names.parse_listener(self.name)
        return f"<Gateway port {port.port}>" if isinstance(port, PortName) else "<none>"

    def mentions(self) -> Iterator[str]:
        """Yield the names and hosts that a filter on this row looks at."""
        for chain in self.chains:
            yield from chain.server_names


def listener_rows(dump: ConfigDump, proxy: str = "") -> Iterator[ListenerRow]:
    """Yield a row for each state of each listener, and one for each refused update."""
    gateways = topology.listener_gateways(dump)
    for entry in dump.listeners:
        for state, listener in topology.states(entry):
            yield _row(entry, state, listener, gateways, proxy)
        if entry.error is not None:
            yield _rejected(entry, proxy)


def _row(
    entry: ListenerEntry,
    state: str,
    listener: Listener,
    gateways: dict[str, tuple[GatewayListener, ...]],
    proxy: str,
) -> ListenerRow:
    owner = owners.listener_owner(listener)
    known = gateways.get(listener.name, ())
    address = listener.address.socket_address
    own = owner.purpose if isinstance(owner, Own) else UNSET
    chains = tuple(topology.chains(listener))
    version = getattr(entry, state)
    return ListenerRow(
        listener.name or entry.name,
        address.address or listener.address.pipe.path,
        address.port_value,
        address.protocol or "TCP",
        state,
        entry.static,
        owner if isinstance(owner, GatewayListener) else None,
        known,
        chains,
        gateway_port(listener) if known else UNSET,
        own,
        last_updated=version.last_updated,
        proxy=proxy,
    )


def _rejected(entry: ListenerEntry, proxy: str) -> ListenerRow:
    """Return the row of an update that Envoy refused; the old listener may be active still."""
    assert entry.error is not None
    refused = _address(plain(entry.error.failed_configuration))
    owner = owners.listener_owner(Listener(name=entry.name))
    return ListenerRow(
        entry.name,
        *refused,
        "rejected",
        entry.static,
        owner if isinstance(owner, GatewayListener) else None,
        error=entry.error.details,
        last_updated=entry.error.last_update_attempt,
        proxy=proxy,
    )


def _address(configuration: object) -> tuple[str, int, str]:
    found: object = configuration
    for key in ("address", "socket_address"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return "", 0, "TCP"
    port = found.get("port_value")
    return (
        str(found.get("address", "")),
        port if isinstance(port, int) else 0,
        str(found.get("protocol") or "TCP"),
    )
