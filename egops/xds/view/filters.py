"""Rows of `egops inspect filters`: in the order Envoy runs them, and who wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct, field

from egops.xds import owners, topology
from egops.xds.config_dump import keys, type_of
from egops.xds.owners import GatewayListener, Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.config_dump import ConfigDump


class FilterRow(Struct, frozen=True, gc=False):
    """A filter in a chain. `routes` counts the routes that configure it.

    A `disabled` filter acts only on those.
    """

    name: str
    type: str
    listener: str
    chain: str
    position: int
    disabled: bool
    routes: int
    owner: Owner | None
    gateway: GatewayListener | None
    port: int = 0
    gateway_port: int = field(default=0, name="gatewayPort")
    last_updated: str = field(default="", name="lastUpdated")
    proxy: str = ""

    HEADERS: ClassVar = ("LISTENER", "CHAIN", "#", "FILTER", "ROUTES", "OWNER")
    WIDE: ClassVar = ("TYPE", "DISABLED", "SINCE")

    @property
    def owner_text(self) -> str:
        """Return the policy in one word; most filters' names don't tell it."""
        return str(self.owner) if self.owner else ""

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        routes = str(self.routes) if self.routes else "" if self.disabled else "all"
        chain = self.chain if self.chain != self.listener else ""
        return self.listener, chain, str(self.position), self.name, routes, self.owner_text

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        return self.type, "yes" if self.disabled else "", self.last_updated


def filter_rows(dump: ConfigDump, proxy: str = "") -> Iterator[FilterRow]:
    """Yield the HTTP filters of each chain, or its network filters where there is no HTTP."""
    users = _users(dump)
    for entry in dump.listeners:
        for state, listener in topology.states(entry):
            since = getattr(entry, state).last_updated
            for chain in listener.chains:
                manager = topology.http_manager(chain)
                owner = owners.chain_owner(chain) or owners.listener_owner(listener)
                config = manager.route_config_name if manager else ""
                filters = manager.http_filters if manager else chain.filters
                for position, filter_ in enumerate(filters):
                    yield FilterRow(
                        filter_.name,
                        type_of(filter_.typed_config).removeprefix("type.googleapis.com/"),
                        listener.name,
                        chain.name,
                        position,
                        filter_.disabled,
                        users.get((config, filter_.name), 0),
                        owners.filter_owner(filter_.name),
                        owner if isinstance(owner, GatewayListener) else None,
                        listener.port,
                        topology.gateway_port(listener),
                        since,
                        proxy,
                    )


def _users(dump: ConfigDump) -> dict[tuple[str, str], int]:
    """Return how many routes of each route configuration configure each filter."""
    found: dict[tuple[str, str], int] = {}
    for entry in dump.route_configs:
        config = entry.route_config
        everywhere = set(keys(config.typed_per_filter_config))
        for host in config.virtual_hosts:
            above = everywhere.union(keys(host.typed_per_filter_config))
            for route in host.routes:
                for name in above.union(keys(route.typed_per_filter_config)):
                    found[config.name, name] = found.get((config.name, name), 0) + 1
    return found
