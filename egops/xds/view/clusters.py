"""Rows of `egops inspect clusters` and `egops inspect endpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import UNSET, Raw, Struct, UnsetType, field
from msgspec.structs import replace

from egops.xds import names, owners
from egops.xds.config_dump import LoadAssignment, LocalityEndpoints, lenient
from egops.xds.owners import Conflict, Own, Owner
from egops.xds.references import callers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.admin import ClusterStatuses, HealthStatus, HostStatus
    from egops.xds.config_dump import Cluster, ConfigDump


class _Socket(Struct, gc=False):
    address: str = ""
    port_value: int = 0


class _Pipe(Struct, gc=False):
    path: str = ""


class _Address(Struct, gc=False):
    socket_address: _Socket = field(default_factory=_Socket)
    pipe: _Pipe = field(default_factory=_Pipe)


class _Endpoint(Struct, gc=False):
    address: _Address = field(default_factory=_Address)
    hostname: str = ""


class _Named(Struct, gc=False):
    name: str = ""
    typed_config: Raw = Raw()


class _Typed(Struct, gc=False):
    typed_extension_config: _Named = field(default_factory=_Named)


class _Policies(Struct, gc=False):
    policies: list[_Typed] = []


class EndpointRow(Struct, frozen=True, gc=False):
    """One endpoint of a cluster; `health` is what Envoy balances by, `reasons` why not healthy."""

    cluster: str
    address: str
    health: str
    reasons: tuple[str, ...]
    owner: Owner | None
    weight: int = 0
    locality_weight: int = field(default=0, name="localityWeight")
    priority: int = 0
    zone: str = ""
    hostname: str | UnsetType = UNSET
    proxy: str = ""
    own: str | UnsetType = UNSET

    HEADERS: ClassVar = ("CLUSTER", "ENDPOINT", "HEALTH", "BACKEND")
    WIDE: ClassVar = ("WEIGHT", "PRIORITY", "ZONE", "REASON")

    @property
    def owner_text(self) -> str:
        """Return the backendRef in one word."""
        if self.owner is None:
            return f"<{self.own}>" if self.own is not UNSET else "<none>"
        if self.owner.backend is None or self.owner.backend < 0:
            return str(self.owner)
        return f"{self.owner} backend {self.owner.backend}"

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        return self.cluster, self.address, self.health, self.owner_text

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        weight = str(self.locality_weight or self.weight or "")
        return weight, str(self.priority), self.zone, ",".join(self.reasons)

    @property
    def is_healthy(self) -> bool:
        """Return whether Envoy sends it requests."""
        return self.health in ("HEALTHY", "DEGRADED")


class ClusterRow(Struct, frozen=True, gc=False):
    """A cluster with its owner; `endpoints` is None if the dump was made without include_eds."""

    name: str
    type: str
    state: str
    owner: Owner | None
    endpoints: int | None
    healthy: int | None
    lb_policy: str = field(default="", name="lbPolicy")
    tls: bool = False
    outlier_detection: bool = field(default=False, name="outlierDetection")
    health_checks: bool = field(default=False, name="healthChecks")
    conflict: Conflict | UnsetType = UNSET
    own: str | UnsetType = UNSET
    last_updated: str = field(default="", name="lastUpdated")
    proxy: str = ""
    callers: tuple[Owner, ...] | UnsetType = UNSET  # of a URL that policies name

    HEADERS: ClassVar = ("NAME", "TYPE", "STATE", "ENDPOINTS", "OWNER")
    WIDE: ClassVar = ("LB", "TLS", "OUTLIER", "HEALTH-CHECK", "SINCE")

    @property
    def owner_text(self) -> str:
        """Return the owner in one word."""
        if self.owner is not None:
            backend, role = self.owner.backend, self.owner.role
            which = f" backend {backend}" if backend is not None and backend >= 0 else ""
            what = "" if role in ("rule", "backendRef") else f" {role}"
            return f"{self.owner}{which}{what}".rstrip()
        if self.callers:
            return ",".join(str(caller) for caller in self.callers)
        if self.conflict is not UNSET:
            return "<conflict>"
        return f"<{self.own}>" if self.own is not UNSET else "<none>"

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        ready = "" if self.endpoints is None else f"{self.healthy}/{self.endpoints}"
        return self.name, self.type, self.state, ready, self.owner_text

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        yes = ("-", "yes")
        return (
            self.lb_policy, yes[self.tls], yes[self.outlier_detection], yes[self.health_checks],
            self.last_updated,
        )  # fmt: skip


def cluster_rows(
    dump: ConfigDump, statuses: ClusterStatuses | None = None, proxy: str = ""
) -> Iterator[ClusterRow]:
    """Yield a row for each cluster; `statuses` (`/clusters`) tells the health more exactly."""
    counts: dict[str, tuple[int, int]] = {}
    for endpoint in endpoint_rows(dump, statuses):
        total, healthy = counts.get(endpoint.cluster, (0, 0))
        counts[endpoint.cluster] = total + 1, healthy + endpoint.is_healthy
    known = dump.has_endpoints or statuses is not None
    urls = [
        entry.cluster.name
        for entry in dump.clusters
        if isinstance(names.parse_cluster(entry.cluster.name), names.UrlCluster)
    ]
    calling = callers(dump, urls) if urls else {}
    fleet = dump.local_cluster_name
    for entry in dump.clusters:
        cluster = entry.cluster
        found = owners.cluster_owner(cluster, fleet)
        total, healthy = counts.get(cluster.name, (0, 0))
        own = found.purpose if isinstance(found, Own) else UNSET
        yield ClusterRow(
            cluster.name,
            cluster_type(cluster),
            entry.state,
            found if isinstance(found, Owner) else None,
            total if known else None,
            healthy if known else None,
            _lb_policy(cluster),
            bool(cluster.transport_socket or cluster.transport_socket_matches),
            bool(cluster.outlier_detection),
            bool(cluster.health_checks),
            found if isinstance(found, Conflict) else UNSET,
            own,
            entry.last_updated,
            proxy,
            calling.get(cluster.name) or UNSET,
        )


def cluster_type(cluster: Cluster) -> str:
    """Return `EDS`, `STRICT_DNS`, `STATIC` or the name of an extension (`envoy.clusters.…`)."""
    if cluster.cluster_type:
        found = lenient(cluster.cluster_type, _Named)
        if found is not None:
            return found.name.removeprefix("envoy.clusters.").removeprefix("envoy.cluster.")
    return cluster.type or "STATIC"


def _lb_policy(cluster: Cluster) -> str:
    if cluster.load_balancing_policy:
        found = lenient(cluster.load_balancing_policy, _Policies)
        if found is not None and found.policies:
            config = found.policies[0].typed_extension_config
            return config.name.removeprefix("envoy.load_balancing_policies.").upper()
    return cluster.lb_policy or "ROUND_ROBIN"


def endpoint_rows(
    dump: ConfigDump, statuses: ClusterStatuses | None = None, proxy: str = ""
) -> Iterator[EndpointRow]:
    """Yield a row for each endpoint of each cluster, of EDS and written inline."""
    seen = set()
    fleet = dump.local_cluster_name
    for assignment in dump.endpoints:
        seen.add(assignment.cluster_name)
        yield from _assigned(assignment, statuses, proxy, fleet)
    for entry in dump.clusters:
        cluster = entry.cluster
        if cluster.load_assignment and cluster.name not in seen:
            inline = lenient(cluster.load_assignment, LoadAssignment)
            if inline is not None:
                assignment = replace(inline, cluster_name=cluster.name)
                yield from _assigned(assignment, statuses, proxy, fleet)
                seen.add(cluster.name)
    for status in statuses.cluster_statuses if statuses else ():
        if status.name not in seen:
            for host in status.host_statuses:
                yield _row(status.name, host, proxy)


def _assigned(
    assignment: LoadAssignment, statuses: ClusterStatuses | None, proxy: str, fleet: str
) -> Iterator[EndpointRow]:
    status = statuses.by_name.get(assignment.cluster_name) if statuses else None
    hosts = {str(host.address): host for host in status.host_statuses} if status else {}
    own: str | UnsetType = UNSET
    if isinstance(named := owners.cluster_name_owner(assignment.cluster_name, fleet), Own):
        own = named.purpose
    for locality in assignment.endpoints:
        owner = _owner(locality, assignment.cluster_name)
        for endpoint in locality.lb_endpoints:
            found = lenient(endpoint.endpoint, _Endpoint) or _Endpoint()
            address = _spell(found.address)
            host = hosts.get(address)
            health, reasons = (
                judge(host.health_status) if host else (endpoint.health_status or "UNKNOWN", ())
            )
            yield EndpointRow(
                assignment.cluster_name,
                address,
                "HEALTHY" if health == "UNKNOWN" else health,
                reasons,
                owner,
                endpoint.load_balancing_weight,
                locality.load_balancing_weight,
                locality.priority,
                locality.locality.zone,
                found.hostname or UNSET,
                proxy,
                own,
            )


def _owner(locality: LocalityEndpoints, cluster: str) -> Owner | None:
    """Return the backendRef that the region names, else the owner that the cluster's name does."""
    if (owner := owners.locality_owner(locality)) is not None:
        return owner
    named = owners.cluster_name_owner(cluster)
    return named if isinstance(named, Owner) else None


def _row(cluster: str, host: HostStatus, proxy: str) -> EndpointRow:
    health, reasons = judge(host.health_status)
    region = LocalityEndpoints(locality=host.locality)
    return EndpointRow(
        cluster,
        str(host.address),
        health,
        reasons,
        _owner(region, cluster),
        host.weight,
        0,
        host.priority,
        host.locality.zone,
        host.hostname or UNSET,
        proxy,
    )


def judge(status: HealthStatus) -> tuple[str, tuple[str, ...]]:
    """Return what Envoy takes a host for, and why if it gets no requests."""
    reasons = tuple(
        reason
        for reason, holds in (
            ("failed health check", status.failed_active_health_check),
            ("ejected as an outlier", status.failed_outlier_check),
            ("waits for its first health check", status.pending_active_hc),
            ("health check timed out", status.active_hc_timeout),
            ("excluded by its own health check answer", status.excluded_via_immediate_hc_fail),
            ("removed, still in use", status.pending_dynamic_removal),
        )
        if holds
    )
    said = status.eds_health_status
    if said in ("DRAINING", "TIMEOUT", "UNHEALTHY", "DEGRADED"):
        return said, reasons
    return ("UNHEALTHY", reasons) if reasons else ("HEALTHY", ())


def _spell(address: _Address) -> str:
    host = address.socket_address.address
    if ":" in host:
        host = f"[{host}]"
    return address.pipe.path or f"{host}:{address.socket_address.port_value}"
