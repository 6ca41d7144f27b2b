"""Envoy's `/config_dump`, decoded once and only as deep as somebody asks.

A dump of 50,000 routes is 100 MB; most of it is never looked at. So a section is decoded when first
used, into structs whose deep fields stay raw JSON until `plain` opens one. Unknown sections and
unknown fields are kept or skipped, never an error; a single resource of an unexpected shape lands
in `ConfigDump.oddities` and the rest is still judged.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, field

from egops.errors import InputError
from egops.xds.dump_input import ADMIN, SECTIONS, split
from egops.xds.entries import (
    ClusterEntry,
    DynamicListener,
    EndpointEntry,
    ErrorState,
    ListenerEntry,
    ListenerVersion,
    RouteConfigEntry,
    SecretEntry,
    Versioned,
)
from egops.xds.raw import EMPTY, T, keys, lenient, plain, type_of
from egops.xds.resources import (
    NO_METADATA,
    Address,
    Cluster,
    EgMetadata,
    EgResource,
    Filter,
    FilterChain,
    FilterMetadata,
    LbEndpoint,
    Listener,
    LoadAssignment,
    Locality,
    LocalityEndpoints,
    Metadata,
    Pipe,
    Route,
    RouteConfiguration,
    SocketAddress,
    VirtualHost,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ADMIN",
    "EMPTY",
    "NO_METADATA",
    "SECTIONS",
    "Address",
    "Cluster",
    "ClusterEntry",
    "ConfigDump",
    "EgMetadata",
    "EgResource",
    "EndpointEntry",
    "ErrorState",
    "Filter",
    "FilterChain",
    "FilterMetadata",
    "LbEndpoint",
    "Listener",
    "ListenerEntry",
    "ListenerVersion",
    "LoadAssignment",
    "Locality",
    "LocalityEndpoints",
    "Metadata",
    "Pipe",
    "Route",
    "RouteConfigEntry",
    "RouteConfiguration",
    "SecretEntry",
    "SocketAddress",
    "VirtualHost",
    "keys",
    "lenient",
    "plain",
    "split",
    "type_of",
]


class ConfigDump:
    """A parsed dump. Sections decode on first use; all are empty lists if the dump lacks them."""

    def __init__(self, sections: dict[str, list[Raw]], unknown: tuple[str, ...] = ()) -> None:
        """Take the raw sections by short name; `parse` makes them."""
        self._sections = sections
        self.unknown = unknown
        self.oddities: list[str] = []

    @classmethod
    def parse(cls, raw: bytes) -> ConfigDump:
        """Return the dump in `raw`: a whole dump, one section, one resource list, or wrapped.

        Raises:
            InputError: it is no config dump; the message tells what it looks like instead.
        """
        dumps = split(raw)
        if len(dumps) > 1:
            names = ", ".join(name for name, _ in dumps[:5])
            raise InputError(
                f"the input holds {len(dumps)} config dumps ({names})", hint="split it, or name one"
            )
        sections: dict[str, list[Raw]] = {}
        unknown = []
        for item in dumps[0][1]:
            kind = type_of(item)
            short = kind.removeprefix(ADMIN)
            if short.partition(".")[0] in SECTIONS and kind.startswith(ADMIN):
                sections.setdefault(short, []).append(item)
            elif kind:
                unknown.append(kind)
        if not sections:
            raise InputError(
                "the JSON holds no section of an Envoy config dump"
                + (f", only {unknown[0]}" if unknown else ""),
                hint="save one with: curl 'http://127.0.0.1:19000/config_dump?include_eds'",
            )
        return cls(sections, tuple(unknown))

    @property
    def has_endpoints(self) -> bool:
        """Return whether the dump was made with `include_eds`."""
        return any(name.startswith("EndpointsConfigDump") for name in self._sections)

    def has(self, section: str) -> bool:
        """Return whether a section (`Listeners`, `Routes`, …) is in the dump."""
        return any(name.startswith(f"{section}ConfigDump") for name in self._sections)

    def version(self, section: str) -> str:
        """Return the version of a whole section; only `Clusters` and `Listeners` have one."""
        for raw in self._sections.get(f"{section}ConfigDump", []):
            try:
                return msgspec.json.decode(raw, type=Versioned).version_info
            except msgspec.MsgspecError:
                return ""
        return ""

    @cached_property
    def bootstrap(self) -> dict[str, Any]:
        """Return the bootstrap as plain JSON."""
        for raw in self._sections.get("BootstrapConfigDump", []):
            body = plain(raw).get("bootstrap")
            return body if isinstance(body, dict) else {}
        return {}

    @property
    def local_cluster_name(self) -> str:
        """Return the key of the fleet as the bootstrap knows it (1.5 on), or an empty string."""
        manager = self.bootstrap.get("cluster_manager")
        name = manager.get("local_cluster_name", "") if isinstance(manager, dict) else ""
        return name if isinstance(name, str) and name != "local_cluster" else ""

    @cached_property
    def listeners(self) -> list[ListenerEntry]:
        """Return static and dynamic listeners, in the order of the dump."""
        found = [
            ListenerEntry(version.listener.name, static=True, active=version)
            for version in self._entries("Listeners", "static_listeners", ListenerVersion)
        ]
        for entry in self._entries("Listeners", "dynamic_listeners", DynamicListener):
            name = entry.name
            if not name and entry.error_state:
                failed = plain(entry.error_state.failed_configuration)
                name = failed.get("name", "") if isinstance(failed, dict) else ""
            found.append(
                ListenerEntry(
                    name,
                    static=False,
                    active=entry.active_state,
                    warming=entry.warming_state,
                    draining=entry.draining_state,
                    error=entry.error_state,
                )
            )
        return found

    @cached_property
    def route_configs(self) -> list[RouteConfigEntry]:
        """Return route configurations: dynamic ones first, then those written inline."""
        dynamic = self._entries("Routes", "dynamic_route_configs", RouteConfigEntry)
        inline = self._entries("Routes", "static_route_configs", RouteConfigEntry)
        return dynamic + [msgspec.structs.replace(entry, static=True) for entry in inline]

    @cached_property
    def clusters(self) -> list[ClusterEntry]:
        """Return clusters in every state."""
        found = []
        for state in ("static", "active", "warming"):
            name = "static_clusters" if state == "static" else f"dynamic_{state}_clusters"
            found += [
                msgspec.structs.replace(entry, state=state) if state != "active" else entry
                for entry in self._entries("Clusters", name, ClusterEntry)
            ]
        return found

    @cached_property
    def endpoints(self) -> list[LoadAssignment]:
        """Return load assignments; empty unless the dump was made with `include_eds`."""
        return [
            entry.endpoint_config
            for name in ("dynamic_endpoint_configs", "static_endpoint_configs")
            for entry in self._entries("Endpoints", name, EndpointEntry)
        ]

    @cached_property
    def secrets(self) -> list[SecretEntry]:
        """Return secrets in every state. An `active` one may have been refused: see `/certs`."""
        found = []
        for state in ("static", "active", "warming"):
            name = "static_secrets" if state == "static" else f"dynamic_{state}_secrets"
            found += [
                msgspec.structs.replace(entry, state=state)
                for entry in self._entries("Secrets", name, SecretEntry)
            ]
        return found

    def raw_sections(self) -> Iterator[tuple[str, Raw]]:
        """Yield every section's short name and its raw JSON, in the order of the dump."""
        for name, raws in self._sections.items():
            for raw in raws:
                yield name, raw

    def _entries(self, section: str, name: str, kind: type[T]) -> list[T]:
        """Decode the list `name` of a section, wherever the dump has it."""
        found: list[T] = []
        for raw in self._sections.get(f"{section}ConfigDump", []):
            found += self._list(raw, name, kind)
        # `?resource=dynamic_listeners` gives bare items, typed as members of the section
        item = ITEMS.get(name)
        if item and name.startswith("dynamic"):
            for raw in self._sections.get(f"{section}ConfigDump.{item}", []):
                found += self._items([raw], name, kind)
        return found

    def _list(self, raw: Raw, name: str, kind: type[T]) -> list[T]:
        only: Any = [("entries", list[kind], field(default_factory=list, name=name))]  # type: ignore[valid-type]
        try:
            found: Any = msgspec.json.decode(raw, type=msgspec.defstruct("Section", only))
            return list(found.entries)
        except msgspec.ValidationError:
            body = msgspec.json.decode(raw, type=dict[str, Raw]).get(name, EMPTY)
            try:
                return self._items(msgspec.json.decode(body, type=list[Raw]), name, kind)
            except msgspec.ValidationError as exc:
                self.oddities.append(f"{name}: {exc}")
                return []

    def _items(self, raws: list[Raw], name: str, kind: type[T]) -> list[T]:
        found = []
        for index, raw in enumerate(raws):
            try:
                found.append(msgspec.json.decode(raw, type=kind))
            except msgspec.ValidationError as exc:
                self.oddities.append(f"{name}[{index}]: {exc}")
        return found


ITEMS = {
    "dynamic_listeners": "DynamicListener",
    "dynamic_route_configs": "DynamicRouteConfig",
    "dynamic_active_clusters": "DynamicCluster",
    "dynamic_active_secrets": "DynamicSecret",
    "dynamic_endpoint_configs": "DynamicEndpointConfig",
}
