"""Envoy's and Envoy Gateway's small admin documents: stats, clusters, certificates, server info.

Every `parse` raises InputError for what is not that document, and tolerates unknown fields.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, field

from egops.errors import InputError
from egops.xds.config_dump import Address, Locality

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


T = TypeVar("T")


def _decode(raw: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as exc:
        raise InputError(f"not {what}: {exc}") from None


class Sample(NamedTuple):
    """One Prometheus sample."""

    name: str
    labels: dict[str, str]
    value: float


class Stats:
    """Counters, gauges and text values by name. A stat that was never touched is absent, not 0."""

    def __init__(
        self, values: dict[str, float], texts: dict[str, str], samples: tuple[Sample, ...] = ()
    ) -> None:
        """Take numbers and text values (`*.version_text`) by name, and Prometheus samples."""
        self.values = values
        self.texts = texts
        self.samples = samples

    @classmethod
    def parse(cls, raw: bytes) -> Stats:
        """Return Envoy's `/stats?format=json`; histograms are left out."""
        values: dict[str, float] = {}
        texts: dict[str, str] = {}
        for stat in _decode(raw, _StatsDocument, "Envoy's stats as JSON").stats:
            name, value = stat.get("name"), stat.get("value")
            if isinstance(name, str) and isinstance(value, (int, float)):
                values[name] = value
            elif isinstance(name, str) and isinstance(value, str):
                texts[name] = value
        return cls(values, texts)

    @classmethod
    def parse_prometheus(cls, raw: bytes) -> Stats:
        """Return metrics in Prometheus' text form: `samples`, and `values` summed by name."""
        values: dict[str, float] = {}
        samples = []
        for line in raw.decode("utf-8", "replace").splitlines():
            if (found := _SAMPLE.match(line)) is None:
                continue
            name, labels, number = found.groups()
            try:
                value = float(number)
            except ValueError:
                continue
            values[name] = values.get(name, 0.0) + value
            samples.append(Sample(name, dict(_LABEL.findall(labels or "")), value))
        if not samples and raw.strip() and not raw.lstrip().startswith(b"#"):
            raise InputError("not metrics in Prometheus' text form")
        return cls(values, {}, tuple(samples))

    def get(self, name: str) -> float | None:
        """Return a number, or None if the stat is absent (unknown, not zero)."""
        return self.values.get(name)

    def matching(self, pattern: str) -> Iterator[tuple[str, float]]:
        """Yield name and number of the stats whose whole name matches, ordered by name."""
        compiled = re.compile(pattern)
        for name in sorted(self.values):
            if compiled.fullmatch(name):
                yield name, self.values[name]

    def of(self, name: str, **labels: str) -> list[Sample]:
        """Return the Prometheus samples of a name that carry these labels."""
        return [
            sample
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]


class _StatsDocument(Struct):
    stats: list[dict[str, Any]]


class HealthStatus(Struct, frozen=True):
    """Why a host gets no traffic; all false and HEALTHY for a good one."""

    eds_health_status: str = ""
    failed_active_health_check: bool = False
    failed_outlier_check: bool = False
    failed_active_degraded_check: bool = False
    pending_dynamic_removal: bool = False
    pending_active_hc: bool = False
    excluded_via_immediate_hc_fail: bool = False
    active_hc_timeout: bool = False


class HostStatus(Struct, frozen=True):
    """One endpoint as Envoy balances to it now."""

    address: Address = Address()
    health_status: HealthStatus = HealthStatus()
    weight: int = 0
    hostname: str = ""
    locality: Locality = Locality()
    priority: int = 0
    stats: list[dict[str, Any]] = []


class ClusterStatus(Struct, frozen=True):
    """One cluster as Envoy runs it now."""

    name: str = ""
    added_via_api: bool = False
    host_statuses: list[HostStatus] = []
    circuit_breakers: dict[str, Any] = {}
    observability_name: str = ""
    eds_service_name: str = ""


class ClusterStatuses(Struct, frozen=True, dict=True):
    """Envoy's `/clusters?format=json`."""

    cluster_statuses: list[ClusterStatus] = []

    @classmethod
    def parse(cls, raw: bytes) -> ClusterStatuses:
        """Return the parsed document."""
        return _decode(raw, cls, "Envoy's clusters as JSON")

    @cached_property
    def by_name(self) -> dict[str, ClusterStatus]:
        """Return the clusters by name."""
        return {status.name: status for status in self.cluster_statuses}


class SubjectAltName(Struct, frozen=True):
    """One SAN: exactly one field is set."""

    dns: str = ""
    uri: str = ""
    ip_address: str = ""
    email: str = ""

    def __str__(self) -> str:
        """Return the name, whichever kind it is."""
        return self.dns or self.uri or self.ip_address or self.email


class Certificate(Struct, frozen=True):
    """One certificate that Envoy really holds; times are RFC 3339, UTC."""

    path: str = ""
    serial_number: str = ""
    subject_alt_names: list[SubjectAltName] = []
    days_until_expiration: str = ""
    valid_from: str = ""
    expiration_time: str = ""


class CertificatePair(Struct, frozen=True):
    """What one TLS context holds: the CA and the own chain."""

    ca_cert: list[Certificate] = []
    cert_chain: list[Certificate] = []


class Certificates(Struct, frozen=True):
    """Envoy's `/certs`: what is really loaded, unlike the config dump's secrets."""

    certificates: list[CertificatePair] = []

    @classmethod
    def parse(cls, raw: bytes) -> Certificates:
        """Return the parsed document."""
        return _decode(raw, cls, "Envoy's certificates")


class _Node(Struct, frozen=True):
    id: str = ""
    cluster: str = ""


class ServerInfo(Struct, frozen=True):
    """Envoy's `/server_info`: the only place that tells node id and cluster."""

    version: str = ""  # `sha/1.36.2/Clean/RELEASE/BoringSSL`
    state: str = ""  # LIVE, DRAINING, PRE_INITIALIZING, INITIALIZING
    uptime_current_epoch: str = ""
    node: _Node = _Node()
    command_line_options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> ServerInfo:
        """Return the parsed document."""
        return _decode(raw, cls, "Envoy's server info")

    @property
    def node_cluster(self) -> str:
        """Return the fleet's key: `namespace/gateway`, or the class of merged gateways."""
        options = self.command_line_options
        return self.node.cluster or str(options.get("service_cluster") or "")

    @property
    def envoy_version(self) -> str:
        """Return `1.36.2`, or an empty string."""
        parts = self.version.split("/")
        return parts[1] if len(parts) > 1 else ""

    @property
    def uptime_seconds(self) -> int:
        """Return the seconds since this Envoy started."""
        digits = self.uptime_current_epoch.removesuffix("s")
        return int(digits) if digits.isdigit() else 0
