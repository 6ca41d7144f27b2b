"""The resources of a config dump as structs: what checks read is decoded, the rest stays raw."""

from __future__ import annotations

import contextlib

import msgspec
from msgspec import Raw, Struct, field
from msgspec.json import encode
from msgspec.structs import force_setattr

from egops.xds.raw import EMPTY, plain, tree_routes, tree_targets, type_of


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
    """One `config.route.v3.VirtualHost`; with a matcher tree, `routes` are those it leads to."""

    name: str = ""
    domains: list[str] = []
    routes: list[Route] = []
    matcher: Raw = EMPTY
    require_tls: str = ""
    metadata: Metadata = NO_METADATA
    typed_per_filter_config: Raw = EMPTY
    rate_limits: Raw = EMPTY
    retry_policy: Raw = EMPTY
    route_specifiers: Raw = EMPTY

    def __post_init__(self) -> None:
        """Take the routes out of a matcher tree."""
        if not self.matcher or self.routes:
            return
        # a tree of another shape leads to nothing that could be listed
        with contextlib.suppress(AttributeError, TypeError, msgspec.ValidationError):
            targets = tree_targets(plain(self.matcher))
            found = [route for target in targets for route in tree_routes(target)]
            force_setattr(self, "routes", msgspec.json.decode(encode(found), type=list[Route]))


class RouteConfiguration(Struct, frozen=True, gc=False):
    """One `config.route.v3.RouteConfiguration`."""

    name: str = ""
    virtual_hosts: list[VirtualHost] = []
    ignore_port_in_host_matching: bool = False
    ignore_path_parameters_in_path_matching: bool = False
    max_direct_response_body_size_bytes: Raw = EMPTY
    typed_per_filter_config: Raw = EMPTY
    vhost_header: str = ""
    internal_only_headers: list[str] = []
    route_specifiers: Raw = EMPTY


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
