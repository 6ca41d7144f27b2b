"""The frozen picture of an installation: the only thing rules see.

Gather fills it; nothing here reads the world. Kubernetes objects stay plain JSON, Envoy's admin
documents stay bytes until somebody asks, and `taken_at` is the only clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from egops.handshakes import Handshake, read
from egops.xds.admin import Certificates, ClusterStatuses, ServerInfo, Stats
from egops.xds.config_dump import ConfigDump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

Path = tuple[str | int, ...]
"""Where in an object: `("spec", "rules", 0, "backendRefs", 1, "name")`."""


class Kind(NamedTuple):
    """A kind of Kubernetes object: how it is called and where the API serves it."""

    name: str
    group: str
    plural: str
    versions: tuple[str, ...]  # preferred first
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Return the preferred `apiVersion`."""
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]

    @property
    def resource(self) -> str:
        """Return the name as RBAC and CRDs spell it: `httproutes.gateway.networking.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def __str__(self) -> str:
        """Return the bare kind."""
        return self.name


class Ref(NamedTuple):
    """The identity of an object; namespace is empty for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `HTTPRoute shop/cart` or `GatewayClass eg`."""
        return f"{self.kind.name} {self.namespace}/{self.name}".replace(" /", " ")


class Origin(Struct, frozen=True):
    """Where an object was read: a cluster, or a file and the line where it starts.

    `locate` finds the line of a value: called for findings only, since it reads the text again.
    """

    file: str = ""
    line: int = 0
    locate: Callable[[Path], int] | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether file and line are the same."""
        return isinstance(other, Origin) and (self.file, self.line) == (other.file, other.line)

    def __hash__(self) -> int:
        """Return the hash of file and line."""
        return hash((self.file, self.line))

    def line_of(self, path: Path) -> int:
        """Return the line of the value at `path` (or its nearest parent); 0 if not from a file."""
        if not self.file:
            return 0
        if self.locate is None or (self.line and not path):
            return self.line
        return self.locate(path) or self.line


@dataclass(frozen=True)
class Location:
    """A place that a finding points to: an object, and a path into it."""

    ref: Ref
    path: Path = ()
    origin: Origin = Origin()  # noqa: RUF009 - it is immutable
    api_version: str = ""
    section: str = ""  # listener, rule or pod, when the object alone does not say it

    @property
    def file(self) -> str:
        """Return the file, or an empty string for objects of a cluster."""
        return self.origin.file

    @property
    def line(self) -> int:
        """Return the line of the value, or 0 for objects of a cluster."""
        return self.origin.line_of(self.path)


class Resource(Struct, frozen=True, dict=True):
    """A Kubernetes object as plain JSON. Treat `body` as read-only: a test compares it.

    What is asked of every object by many rules is worked out once; `derived` is where views of one
    object keep theirs.
    """

    kind: Kind
    body: Mapping[str, Any]
    origin: Origin = Origin()

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """Return `metadata`, or an empty mapping."""
        return section(self.body, "metadata")

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """Return `spec`, or an empty mapping."""
        return section(self.body, "spec")

    @cached_property
    def status(self) -> Mapping[str, Any]:
        """Return `status`, or an empty mapping."""
        return section(self.body, "status")

    @cached_property
    def name(self) -> str:
        """Return `metadata.name`."""
        return text(self.metadata, "name")

    @cached_property
    def namespace(self) -> str:
        """Return the namespace: empty for cluster-scoped kinds, `default` where a file omits it."""
        if not self.kind.namespaced:
            return ""
        return text(self.metadata, "namespace") or "default"

    @property
    def labels(self) -> Mapping[str, Any]:
        """Return `metadata.labels`, or an empty mapping."""
        return section(self.metadata, "labels")

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Return `metadata.annotations`, or an empty mapping."""
        return section(self.metadata, "annotations")

    @property
    def generation(self) -> int:
        """Return `metadata.generation`, or 0."""
        return number(self.metadata, "generation")

    @cached_property
    def ref(self) -> Ref:
        """Return the object's identity."""
        return Ref(self.kind, self.namespace, self.name)

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """Return what views have worked out of this object alone, by view."""
        return {}

    def at(self, *path: str | int, section: str = "") -> Location:
        """Return the place of a value in this object, for a Problem to point to."""
        api_version = text(self.body, "apiVersion") or self.kind.api_version
        return Location(self.ref, path, self.origin, api_version, section)


# Foreign JSON may hold anything anywhere (null, a list where a map should be): these four readers
# are how every rule survives it.


def section(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the mapping found by following `keys`, or an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: Any, *keys: str) -> list[Any]:
    """Return the list found by following `keys`, or an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []


def items(value: Any, *keys: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield index and entry of the mappings in the list found by following `keys`."""
    for index, entry in enumerate(entries(value, *keys)):
        if isinstance(entry, dict):
            yield index, entry


def text(value: Any, *keys: str) -> str:
    """Return the string found by following `keys`, or an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def number(value: Any, *keys: str, default: int = 0) -> int:
    """Return the integer found by following `keys`, or `default`."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else default


class Probe(Enum):
    """What can be asked of the world besides Kubernetes objects; a rule declares what it needs."""

    # of each Envoy proxy
    CONFIG_DUMP = "/config_dump?include_eds"
    STATS = "/stats?format=json"
    STATS_AGAIN = "/stats?format=json (again)"  # one `--window` later, for counters
    CLUSTERS = "/clusters?format=json"
    CERTS = "/certs"
    SERVER_INFO = "/server_info"
    READY = "/ready"
    PROXY_LOG = "log of container envoy"
    LISTENER_TLS = "TLS handshakes with Envoy's listeners"
    # of each Envoy Gateway pod
    METRICS = "/metrics"
    METRICS_AGAIN = "/metrics (again)"
    EG_CONFIG_DUMP = "/api/config_dump?resource=all"
    EG_LOG = "log of container envoy-gateway"
    TLS = "TLS handshakes of Envoy Gateway"
    # of each pod of the rate limit service
    RATE_LIMIT_TLS = "TLS handshake of the rate limit service"
    # of each server that was named
    SERVER_TLS = "TLS handshake"
    # of the API server
    KUBERNETES_VERSION = "/version"
    # of a Prometheus, if one is given or found
    PROMETHEUS = "prometheus"

    @property
    def of_proxy(self) -> bool:
        """Return whether each Envoy proxy is asked."""
        return self in PROXY_PROBES

    @property
    def of_control_plane(self) -> bool:
        """Return whether each Envoy Gateway pod is asked."""
        return self in CONTROL_PLANE_PROBES


PROXY_PROBES = frozenset(
    {
        Probe.CONFIG_DUMP,
        Probe.STATS,
        Probe.STATS_AGAIN,
        Probe.CLUSTERS,
        Probe.CERTS,
        Probe.SERVER_INFO,
        Probe.READY,
        Probe.PROXY_LOG,
        Probe.LISTENER_TLS,
    }
)
CONTROL_PLANE_PROBES = frozenset(
    {Probe.METRICS, Probe.METRICS_AGAIN, Probe.EG_CONFIG_DUMP, Probe.EG_LOG, Probe.TLS}
)
TLS_PROBES = (Probe.LISTENER_TLS, Probe.TLS, Probe.RATE_LIMIT_TLS, Probe.SERVER_TLS)


@dataclass(frozen=True)
class Answers:
    """What one pod (or URL, or file) said to each probe, and why it said nothing to others."""

    name: str  # `namespace/pod`, a URL or a file
    pod: Resource | None = None
    documents: Mapping[Probe, bytes] = field(default_factory=dict, repr=False)
    failures: Mapping[Probe, str] = field(default_factory=dict)

    def has(self, probe: Probe) -> bool:
        """Return whether the probe was answered."""
        return probe in self.documents

    @cached_property
    def handshakes(self) -> tuple[Handshake, ...]:
        """Return the TLS handshakes, of each port that was tried; none if none was."""
        found = next((probe for probe in TLS_PROBES if probe in self.documents), None)
        return read(self.documents[found]) if found else ()


@dataclass(frozen=True)
class Proxy(Answers):
    """One Envoy. Each document is parsed once, when first asked for.

    Parsing never raises: gather hands over only documents that parse, the others are `failures`.
    Asking for a document that is not there raises KeyError: check `has` first.
    """

    @cached_property
    def config(self) -> ConfigDump:
        """Return the parsed `/config_dump?include_eds`."""
        return ConfigDump.parse(self.documents[Probe.CONFIG_DUMP])

    @cached_property
    def stats(self) -> Stats:
        """Return the parsed `/stats?format=json`."""
        return Stats.parse(self.documents[Probe.STATS])

    @cached_property
    def stats_again(self) -> Stats:
        """Return the stats read one window later."""
        return Stats.parse(self.documents[Probe.STATS_AGAIN])

    @cached_property
    def clusters(self) -> ClusterStatuses:
        """Return the parsed `/clusters?format=json`."""
        return ClusterStatuses.parse(self.documents[Probe.CLUSTERS])

    @cached_property
    def certs(self) -> Certificates:
        """Return the parsed `/certs`."""
        return Certificates.parse(self.documents[Probe.CERTS])

    @cached_property
    def server_info(self) -> ServerInfo:
        """Return the parsed `/server_info`."""
        return ServerInfo.parse(self.documents[Probe.SERVER_INFO])

    @property
    def log(self) -> str:
        """Return the tail of the log of container `envoy`."""
        return self.documents[Probe.PROXY_LOG].decode("utf-8", "replace")

    @property
    def fleet(self) -> str:
        """Return the fleet's key: `namespace/gateway`, or the class of merged gateways.

        From the pod's labels, else `/server_info`, else the bootstrap; empty if none tells.
        """
        if self.pod is not None:
            label = "gateway.envoyproxy.io/owning-"
            if gateway := text(self.pod.labels, f"{label}gateway-name"):
                return f"{text(self.pod.labels, f'{label}gateway-namespace')}/{gateway}"
            if owner := text(self.pod.labels, f"{label}gatewayclass"):
                return owner
        if self.has(Probe.SERVER_INFO) and self.server_info.node_cluster:
            return self.server_info.node_cluster
        if self.has(Probe.CONFIG_DUMP):
            return self.config.local_cluster_name
        return ""


@dataclass(frozen=True)
class ControlPlane(Answers):
    """One Envoy Gateway pod."""

    @cached_property
    def metrics(self) -> Stats:
        """Return the parsed Prometheus metrics: name with labels to value."""
        return Stats.parse_prometheus(self.documents[Probe.METRICS])

    @cached_property
    def metrics_again(self) -> Stats:
        """Return the metrics read one window later."""
        return Stats.parse_prometheus(self.documents[Probe.METRICS_AGAIN])

    @property
    def log(self) -> str:
        """Return the tail of the log."""
        return self.documents[Probe.EG_LOG].decode("utf-8", "replace")


@dataclass(frozen=True)
class RateLimitServer(Answers):
    """One pod of the rate limit service."""


@dataclass(frozen=True)
class Server(Answers):
    """A TLS server that the user named, or that an object names: `host:port`."""

    users: tuple[str, ...] = ()  # the objects that name it


@dataclass(frozen=True)
class Expiry:
    """When the end of a certificate alarms: time before it, or a share of the lifetime."""

    warn: timedelta | float
    critical: timedelta | float
    is_chosen: bool = False  # by the user, who gets exactly that


@dataclass(frozen=True)
class Broken:
    """A part of the input that could not be read: where, and why. The rest is judged."""

    file: str
    line: int
    message: str


class SourceType(Enum):
    """Where a snapshot comes from."""

    CLUSTER = "cluster"
    FILES = "files"
    ENVOY = "envoy"
    BUNDLE = "bundle"
    SERVER = "server"


@dataclass(frozen=True)
class Source:
    """Who was asked: shown in the header of each report."""

    type: SourceType
    context: str = ""  # kubeconfig context, or the files and URLs given
    server: str = ""
    bundle: str = ""  # the file it was saved in; what it holds is judged as where it came from

    @property
    def shown_type(self) -> SourceType:
        """Return what to call it in a report."""
        return SourceType.BUNDLE if self.bundle else self.type


@dataclass(frozen=True)
class Upgrade:
    """The step that upgrade rules judge: installed and target release, such as (1, 2, 8)."""

    from_version: tuple[int, ...]
    to_version: tuple[int, ...]


@dataclass(frozen=True)
class Snapshot:
    """All that is known at one moment.

    `unread` holds the kinds that could not be read and why (forbidden, timed out); a kind whose CRD
    is not installed is in `absent`. Both have no objects in `resources`.
    """

    taken_at: datetime
    source: Source
    resources: Mapping[Kind, tuple[Resource, ...]] = field(default_factory=dict, repr=False)
    unread: Mapping[Kind, str] = field(default_factory=dict)
    absent: frozenset[Kind] = frozenset()
    partly: frozenset[Kind] = (
        frozenset()
    )  # only the objects of `--namespace`: the rest is forbidden
    proxies: tuple[Proxy, ...] = ()
    control_planes: tuple[ControlPlane, ...] = ()
    rate_limit_servers: tuple[RateLimitServer, ...] = ()
    servers: tuple[Server, ...] = ()
    unprobed: Mapping[Probe, str] = field(default_factory=dict)  # probes asked of nobody, and why
    broken: tuple[Broken, ...] = ()
    notes: tuple[str, ...] = ()  # what was left out: "3 of 13 proxies not read (--max-pods)"
    kubernetes_version: str = ""
    window_seconds: float = 0.0
    strict: bool = False  # no settle time
    timed_out: bool = False  # `--timeout` ran out; `unread` and failures say what is missing
    prometheus: Mapping[str, Any] = field(default_factory=dict, repr=False)  # query -> answer
    expiry: Expiry | None = None  # None: each rule's own
    clock_ahead: float = 0.0  # seconds: this machine's clock before that of the API server
    upgrade: Upgrade | None = None  # what `upgrade-check` was asked about
    before: Snapshot | None = None  # the same installation before an upgrade
    predicted: tuple[Any, ...] | None = None  # the findings of upgrade rules on `before`

    def all(self, kind: Kind) -> tuple[Resource, ...]:
        """Return the objects of a kind, ordered by namespace and name."""
        return self.resources.get(kind, ())

    def get(self, ref: Ref) -> Resource | None:
        """Return the object, or None if it is not in the snapshot."""
        return self._of(ref.kind).get((ref.namespace, ref.name))

    def find(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        """Return the object by its parts, or None."""
        return self._of(kind).get((namespace if kind.namespaced else "", name))

    def knows(self, kind: Kind) -> bool:
        """Return whether an object of this kind that is not here does not exist.

        True for a cluster whose list was read. Files and bundles hold what they hold: there a
        kind is known only if at least one object of it was given.
        """
        if kind in self.unread or kind in self.partly:
            return False
        if self.source.type is SourceType.CLUSTER:
            return kind in self.resources or kind in self.absent
        return bool(self.resources.get(kind))

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """Return the place where views keep what they worked out of this snapshot, once."""
        return {}

    @cached_property
    def _index(self) -> dict[Kind, dict[tuple[str, str], Resource]]:
        return {}

    def _of(self, kind: Kind) -> dict[tuple[str, str], Resource]:
        """Return the objects of a kind by namespace and name, indexed on first use."""
        found = self._index.get(kind)
        if found is None:
            found = {(one.namespace, one.name): one for one in reversed(self.all(kind))}
            self._index[kind] = found
        return found
