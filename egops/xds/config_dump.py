"""Envoy's `/config_dump`, decoded once and only as deep as somebody asks.

A dump of 50,000 routes is 100 MB; most of it is never looked at. So a section is decoded when first
used, into structs whose deep fields stay raw JSON until `plain` opens one. Unknown sections and
unknown fields are kept or skipped, never an error; a single resource of an unexpected shape lands
in `ConfigDump.oddities` and the rest is still judged.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
from msgspec import Raw, Struct, field

from egops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
EMPTY = Raw()
ADMIN = "type.googleapis.com/envoy.admin.v3."
SECTIONS = (
    "BootstrapConfigDump",
    "ClustersConfigDump",
    "EndpointsConfigDump",
    "ListenersConfigDump",
    "ScopedRoutesConfigDump",
    "RoutesConfigDump",
    "SecretsConfigDump",
    "EcdsConfigDump",
)


def plain(raw: Raw) -> Any:
    """Return a raw value as plain JSON (dict, list, str, …); None for a field that was absent."""
    return msgspec.json.decode(raw) if raw else None


def keys(raw: Raw) -> tuple[str, ...]:
    """Return the keys of a raw object; none if it is absent or no object."""
    if not raw:
        return ()
    try:
        return tuple(_decode_keys(raw))
    except msgspec.MsgspecError:
        return ()


_decode_keys = msgspec.json.Decoder(dict[str, Raw]).decode


def lenient(raw: Raw, kind: type[T]) -> T | None:
    """Return a raw value as a struct; None if it is absent or of another shape."""
    try:
        return msgspec.json.decode(raw, type=kind) if raw else None
    except msgspec.MsgspecError:
        return None


# ------------------------------------------------------------------ resources


class EgResource(Struct, frozen=True, gc=False):
    """One Kubernetes object in Envoy Gateway's metadata."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    section_name: str = field(default="", name="sectionName")


class EgMetadata(Struct, frozen=True, gc=False):
    """`filter_metadata["envoy-gateway"]`: the objects that made this resource (1.2 on)."""

    resources: list[EgResource] = []
    policies: list[EgResource] = []  # routes only, 1.7 on


class FilterMetadata(Struct, frozen=True, gc=False):
    """The one filter's metadata that we read."""

    envoy_gateway: EgMetadata = field(default_factory=EgMetadata, name="envoy-gateway")


class Metadata(Struct, frozen=True, gc=False):
    """Envoy's `core.v3.Metadata`."""

    filter_metadata: FilterMetadata = FilterMetadata()

    @property
    def resource(self) -> EgResource | None:
        """Return the object that made the resource, or None."""
        found = self.filter_metadata.envoy_gateway.resources
        return found[0] if found else None

    @property
    def policies(self) -> list[EgResource]:
        """Return the policies merged into the resource."""
        return self.filter_metadata.envoy_gateway.policies


NO_METADATA = Metadata()


class Route(Struct, frozen=True, gc=False):
    """One `config.route.v3.Route`: exactly one of the action fields is set."""

    name: str = ""
    match: Raw = EMPTY
    route: Raw = EMPTY
    redirect: Raw = EMPTY
    direct_response: Raw = EMPTY
    filter_action: Raw = EMPTY
    non_forwarding_action: Raw = EMPTY
    metadata: Metadata = NO_METADATA
    typed_per_filter_config: Raw = EMPTY
    request_headers_to_add: Raw = EMPTY
    request_headers_to_remove: Raw = EMPTY
    response_headers_to_add: Raw = EMPTY
    response_headers_to_remove: Raw = EMPTY
    stat_prefix: str = ""


class VirtualHost(Struct, frozen=True, gc=False):
    """One `config.route.v3.VirtualHost`."""

    name: str = ""
    domains: list[str] = []
    routes: list[Route] = []
    matcher: Raw = EMPTY
    require_tls: str = ""
    metadata: Metadata = NO_METADATA
    typed_per_filter_config: Raw = EMPTY
    rate_limits: Raw = EMPTY
    retry_policy: Raw = EMPTY


class RouteConfiguration(Struct, frozen=True, gc=False):
    """One `config.route.v3.RouteConfiguration`."""

    name: str = ""
    virtual_hosts: list[VirtualHost] = []
    ignore_port_in_host_matching: bool = False
    ignore_path_parameters_in_path_matching: bool = False
    max_direct_response_body_size_bytes: Raw = EMPTY
    typed_per_filter_config: Raw = EMPTY
    vhost_header: str = ""


class SocketAddress(Struct, frozen=True, gc=False):
    """An IP address and a port; `protocol` is empty for TCP."""

    protocol: str = ""
    address: str = ""
    port_value: int = 0
    ipv4_compat: bool = False


class Pipe(Struct, frozen=True, gc=False):
    """A Unix socket."""

    path: str = ""


class Address(Struct, frozen=True, gc=False):
    """Envoy's `core.v3.Address`."""

    socket_address: SocketAddress = SocketAddress()
    pipe: Pipe = Pipe()

    def __str__(self) -> str:
        """Return `address:port` or the path of the pipe."""
        host = self.socket_address.address
        if ":" in host:
            host = f"[{host}]"
        return self.pipe.path or f"{host}:{self.socket_address.port_value}"


class Filter(Struct, frozen=True, gc=False):
    """A network, listener or HTTP filter."""

    name: str = ""
    typed_config: Raw = EMPTY
    config_discovery: Raw = EMPTY
    disabled: bool = False

    @property
    def type(self) -> str:
        """Return the short name of the message: `HttpConnectionManager`."""
        return type_of(self.typed_config).rpartition(".")[2]


class FilterChain(Struct, frozen=True, gc=False):
    """One filter chain of a listener."""

    name: str = ""
    filter_chain_match: Raw = EMPTY
    filters: list[Filter] = []
    transport_socket: Raw = EMPTY
    metadata: Metadata = NO_METADATA


class Listener(Struct, frozen=True, gc=False):
    """One `config.listener.v3.Listener`."""

    name: str = ""
    address: Address = Address()
    additional_addresses: Raw = EMPTY
    filter_chains: list[FilterChain] = []
    filter_chain_matcher: Raw = EMPTY
    default_filter_chain: FilterChain | None = None
    listener_filters: list[Filter] = []
    udp_listener_config: Raw = EMPTY
    api_listener: Raw = EMPTY
    access_log: Raw = EMPTY
    metadata: Metadata = NO_METADATA

    @property
    def port(self) -> int:
        """Return the port it binds (the container port)."""
        return self.address.socket_address.port_value

    @property
    def chains(self) -> list[FilterChain]:
        """Return all filter chains, the default one last."""
        last = [self.default_filter_chain] if self.default_filter_chain else []
        return [*self.filter_chains, *last]


class Cluster(Struct, frozen=True, gc=False):
    """One `config.cluster.v3.Cluster`; `body` fields that checks rarely need stay raw."""

    name: str = ""
    alt_stat_name: str = ""
    type: str = ""
    cluster_type: Raw = EMPTY
    eds_cluster_config: Raw = EMPTY
    load_assignment: Raw = EMPTY
    lb_policy: str = ""
    load_balancing_policy: Raw = EMPTY
    transport_socket: Raw = EMPTY
    transport_socket_matches: Raw = EMPTY
    circuit_breakers: Raw = EMPTY
    outlier_detection: Raw = EMPTY
    health_checks: Raw = EMPTY
    connect_timeout: str = ""
    typed_extension_protocol_options: Raw = EMPTY
    dns_lookup_family: str = ""
    metadata: Metadata = NO_METADATA


class LbEndpoint(Struct, frozen=True, gc=False):
    """One endpoint of a load assignment; `health_status` is empty for UNKNOWN."""

    endpoint: Raw = EMPTY
    health_status: str = ""
    metadata: Raw = EMPTY
    load_balancing_weight: int = 0


class Locality(Struct, frozen=True, gc=False):
    """Region, zone, sub-zone; Envoy Gateway puts the backend's identity into the region."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


class LocalityEndpoints(Struct, frozen=True, gc=False):
    """The endpoints of one locality: one backendRef."""

    locality: Locality = Locality()
    lb_endpoints: list[LbEndpoint] = []
    load_balancing_weight: int = 0
    priority: int = 0
    metadata: Metadata = NO_METADATA


class LoadAssignment(Struct, frozen=True, gc=False):
    """One `ClusterLoadAssignment`."""

    cluster_name: str = ""
    endpoints: list[LocalityEndpoints] = []


# ------------------------------------------------------------------ sections


class ErrorState(Struct, frozen=True, gc=False):
    """Why Envoy refused a listener: it keeps serving the old one, if there was one."""

    failed_configuration: Raw = EMPTY
    last_update_attempt: str = ""
    details: str = ""
    version_info: str = ""


class ListenerVersion(Struct, frozen=True, gc=False):
    """A listener in one of its states."""

    version_info: str = ""
    listener: Listener = Listener()
    last_updated: str = ""


class _DynamicListener(Struct, frozen=True, gc=False):
    name: str = ""
    active_state: ListenerVersion | None = None
    warming_state: ListenerVersion | None = None
    draining_state: ListenerVersion | None = None
    error_state: ErrorState | None = None
    client_status: str = ""


class ListenerEntry(Struct, frozen=True, gc=False):
    """A listener with its states. A refused new listener has only `error`.

    `static` listeners come from the bootstrap and are active.
    """

    name: str
    static: bool
    active: ListenerVersion | None = None
    warming: ListenerVersion | None = None
    draining: ListenerVersion | None = None
    error: ErrorState | None = None


class RouteConfigEntry(Struct, frozen=True, gc=False):
    """A route configuration: static ones are written inline in a listener."""

    version_info: str = ""
    route_config: RouteConfiguration = RouteConfiguration()
    last_updated: str = ""
    static: bool = False


class ClusterEntry(Struct, frozen=True, gc=False):
    """A cluster and its state: `static`, `active` or `warming`."""

    version_info: str = ""
    cluster: Cluster = Cluster()
    last_updated: str = ""
    state: str = "active"


class _Versioned(Struct, frozen=True, gc=False):
    version_info: str = ""


class EndpointEntry(Struct, frozen=True, gc=False):
    """A load assignment as Envoy's runtime sees it."""

    endpoint_config: LoadAssignment = LoadAssignment()


class SecretEntry(Struct, frozen=True, gc=False):
    """A secret and its state: `static`, `active` or `warming`. Keys are redacted by Envoy."""

    name: str = ""
    version_info: str = ""
    last_updated: str = ""
    secret: Raw = EMPTY
    state: str = "active"


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
                return msgspec.json.decode(raw, type=_Versioned).version_info
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
        for entry in self._entries("Listeners", "dynamic_listeners", _DynamicListener):
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

# ------------------------------------------------------------------ shapes of the input

_TYPE = re.compile(rb'\s*\{\s*"@type"\s*:\s*"([^"\\]+)"')


class _Typed(Struct, gc=False):
    type: str = field(default="", name="@type")


def type_of(raw: Raw | bytes) -> str:
    """Return the `@type` of a raw message, or an empty string."""
    head = bytes(memoryview(raw)[:300])
    if found := _TYPE.match(head):
        return found[1].decode("utf-8", "replace")
    try:
        return msgspec.json.decode(raw, type=_Typed).type
    except msgspec.DecodeError:
        return ""


class _Configs(Struct, gc=False):
    configs: list[Raw] | None = None


def split(raw: bytes) -> list[tuple[str, list[Raw]]]:
    """Return the dumps in `raw` as (name, raw sections); the name is empty or `namespace/pod`.

    Knows Envoy's own form, a single section, and what `egctl config envoy-proxy` prints
    (`{namespace: {pod: dump}}`, camelCase, optionally under `envoyProxy`).

    Raises:
        InputError: it is not JSON, or no dump.
    """
    try:
        return _split(raw)
    except msgspec.ValidationError as exc:
        raise InputError(f"the JSON is no Envoy config dump: {exc}") from None
    except msgspec.DecodeError as exc:
        raise InputError(f"not a config dump: {_looks_like(raw)}", hint=str(exc)) from None


def _split(raw: bytes) -> list[tuple[str, list[Raw]]]:
    if type_of(raw).startswith(ADMIN):
        return [("", _snake([Raw(raw)]))]
    if (configs := msgspec.json.decode(raw, type=_Configs).configs) is not None:
        return [("", _snake(configs))]
    outer = msgspec.json.decode(raw, type=dict[str, Raw])
    if len(outer) == 1 and "envoyProxy" in outer:
        outer = msgspec.json.decode(outer["envoyProxy"], type=dict[str, Raw])
    found = [
        (f"{namespace}/{pod}", _snake(configs))
        for namespace, pods in outer.items()
        if _is_object(pods)
        for pod, dump in msgspec.json.decode(pods, type=dict[str, Raw]).items()
        if _is_object(dump) and (configs := _configs(dump)) is not None
    ]
    if not found:
        keys = ", ".join(list(outer)[:5]) or "an empty object"
        raise InputError(
            f"the JSON is no Envoy config dump: it has the keys {keys}",
            hint="save one with: curl 'http://127.0.0.1:19000/config_dump?include_eds'",
        )
    return found


def _is_object(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _configs(dump: Raw) -> list[Raw] | None:
    if type_of(dump).startswith(ADMIN):
        return [dump]
    return msgspec.json.decode(dump, type=_Configs).configs


def _looks_like(raw: bytes) -> str:
    head = raw[:512].lstrip().lower()
    if not head:
        return "the input is empty"
    if head.startswith((b"<!doctype", b"<html", b"<head")):
        return "the input is an HTML page"
    if raw[:2] == b"\x1f\x8b":
        return "the input is compressed"
    if head[:1] in b"{[":
        return f"the JSON is broken or cut off after {len(raw):,} bytes"
    return "the input is not JSON"


_CAMEL = re.compile(rb'"(?:dynamic|static)[A-Z]\w+"|"versionInfo"|"lastUpdated"')


def _snake(configs: list[Raw]) -> list[Raw]:
    """Return the sections with Envoy's field names; egctl prints protobuf JSON's camelCase."""
    if not any(_is_camel(memoryview(raw)) for raw in configs):
        return configs
    return [Raw(orjson.dumps(_snake_keys(orjson.loads(bytes(raw))))) for raw in configs]


def _is_camel(raw: memoryview) -> bool:
    return any(_CAMEL.search(bytes(part)) for part in (raw[:4096], raw[-4096:]))


# maps and structs whose keys are data, not field names
_OPAQUE = {
    "filterMetadata", "filter_metadata", "typedFilterMetadata", "staticLayer", "jsonFormat",
    "environmentVariables", "keyValues",
}  # fmt: skip
_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


def _snake_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake_keys(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        _UPPER.sub(r"_\1", key).lower() if key.isidentifier() else key: entry
        if key in _OPAQUE
        else _snake_keys(entry)
        for key, entry in value.items()
    }
