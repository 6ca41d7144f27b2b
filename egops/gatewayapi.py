"""The kinds that egops reads, and read-only views over Gateway API and Envoy Gateway objects.

What many rules ask (is it ours, is the condition fresh, has it settled) is answered here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from egops.snapshot import Kind, Ref, Resource, SourceType, entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from egops.snapshot import Location, Snapshot

T = TypeVar("T")

GWAPI, EG = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
XGWAPI = "gateway.networking.x-k8s.io"

# core
CONFIG_MAP = Kind("ConfigMap", "", "configmaps", ("v1",))
EVENT = Kind("Event", "", "events", ("v1",))
NAMESPACE = Kind("Namespace", "", "namespaces", ("v1",), namespaced=False)
NODE = Kind("Node", "", "nodes", ("v1",), namespaced=False)
POD = Kind("Pod", "", "pods", ("v1",))
SECRET = Kind("Secret", "", "secrets", ("v1",))
SERVICE = Kind("Service", "", "services", ("v1",))
SERVICE_ACCOUNT = Kind("ServiceAccount", "", "serviceaccounts", ("v1",))
RBAC = "rbac.authorization.k8s.io"
ROLE = Kind("Role", RBAC, "roles", ("v1",))
ROLE_BINDING = Kind("RoleBinding", RBAC, "rolebindings", ("v1",))
CLUSTER_ROLE = Kind("ClusterRole", RBAC, "clusterroles", ("v1",), namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "ClusterRoleBinding", RBAC, "clusterrolebindings", ("v1",), namespaced=False
)
DEPLOYMENT = Kind("Deployment", "apps", "deployments", ("v1",))
DAEMON_SET = Kind("DaemonSet", "apps", "daemonsets", ("v1",))
REPLICA_SET = Kind("ReplicaSet", "apps", "replicasets", ("v1",))
JOB = Kind("Job", "batch", "jobs", ("v1",))
ENDPOINT_SLICE = Kind("EndpointSlice", "discovery.k8s.io", "endpointslices", ("v1",))
LEASE = Kind("Lease", "coordination.k8s.io", "leases", ("v1",))
HPA = Kind("HorizontalPodAutoscaler", "autoscaling", "horizontalpodautoscalers", ("v2",))
PDB = Kind("PodDisruptionBudget", "policy", "poddisruptionbudgets", ("v1",))
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io", "networkpolicies", ("v1",))
CRD = Kind(
    "CustomResourceDefinition",
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    ("v1",),
    namespaced=False,
)
MUTATING_WEBHOOK = Kind(
    "MutatingWebhookConfiguration",
    "admissionregistration.k8s.io",
    "mutatingwebhookconfigurations",
    ("v1",),
    namespaced=False,
)
ADMISSION_POLICY = Kind(
    "ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io",
    "validatingadmissionpolicies",
    ("v1", "v1beta1"),
    namespaced=False,
)
ADMISSION_POLICY_BINDING = Kind(
    "ValidatingAdmissionPolicyBinding",
    "admissionregistration.k8s.io",
    "validatingadmissionpolicybindings",
    ("v1", "v1beta1"),
    namespaced=False,
)
# Gateway API
GATEWAY_CLASS = Kind("GatewayClass", GWAPI, "gatewayclasses", ("v1", "v1beta1"), namespaced=False)
GATEWAY = Kind("Gateway", GWAPI, "gateways", ("v1", "v1beta1"))
LISTENER_SET = Kind("ListenerSet", GWAPI, "listenersets", ("v1",))
X_LISTENER_SET = Kind("XListenerSet", XGWAPI, "xlistenersets", ("v1alpha1",))
HTTP_ROUTE = Kind("HTTPRoute", GWAPI, "httproutes", ("v1", "v1beta1"))
GRPC_ROUTE = Kind("GRPCRoute", GWAPI, "grpcroutes", ("v1", "v1alpha2"))
TLS_ROUTE = Kind("TLSRoute", GWAPI, "tlsroutes", ("v1", "v1alpha3", "v1alpha2"))
TCP_ROUTE = Kind("TCPRoute", GWAPI, "tcproutes", ("v1", "v1alpha2"))
UDP_ROUTE = Kind("UDPRoute", GWAPI, "udproutes", ("v1", "v1alpha2"))
REFERENCE_GRANT = Kind("ReferenceGrant", GWAPI, "referencegrants", ("v1beta1", "v1", "v1alpha2"))
BACKEND_TLS_POLICY = Kind(
    "BackendTLSPolicy", GWAPI, "backendtlspolicies", ("v1", "v1alpha3", "v1alpha2")
)
SERVICE_IMPORT = Kind("ServiceImport", "multicluster.x-k8s.io", "serviceimports", ("v1alpha1",))
# Envoy Gateway
BACKEND = Kind("Backend", EG, "backends", ("v1alpha1",))
BACKEND_TRAFFIC_POLICY = Kind("BackendTrafficPolicy", EG, "backendtrafficpolicies", ("v1alpha1",))
CLIENT_TRAFFIC_POLICY = Kind("ClientTrafficPolicy", EG, "clienttrafficpolicies", ("v1alpha1",))
ENVOY_EXTENSION_POLICY = Kind("EnvoyExtensionPolicy", EG, "envoyextensionpolicies", ("v1alpha1",))
ENVOY_PATCH_POLICY = Kind("EnvoyPatchPolicy", EG, "envoypatchpolicies", ("v1alpha1",))
ENVOY_PROXY = Kind("EnvoyProxy", EG, "envoyproxies", ("v1alpha1",))
HTTP_ROUTE_FILTER = Kind("HTTPRouteFilter", EG, "httproutefilters", ("v1alpha1",))
SECURITY_POLICY = Kind("SecurityPolicy", EG, "securitypolicies", ("v1alpha1",))
# the configuration file inside a config map: gather parses it into an object of its own
ENVOY_GATEWAY = Kind("EnvoyGateway", EG, "envoygateways", ("v1alpha1",))
# others' objects that explain ours
CILIUM_POLICY = Kind("CiliumNetworkPolicy", "cilium.io", "ciliumnetworkpolicies", ("v2",))
CERTIFICATE = Kind("Certificate", "cert-manager.io", "certificates", ("v1",))
SERVICE_MONITOR = Kind("ServiceMonitor", "monitoring.coreos.com", "servicemonitors", ("v1",))
POD_MONITOR = Kind("PodMonitor", "monitoring.coreos.com", "podmonitors", ("v1",))
PROMETHEUS_RULE = Kind("PrometheusRule", "monitoring.coreos.com", "prometheusrules", ("v1",))

# what tells whether a route, policy or Gateway is ours: rules that ask declare these
OURS = (DEPLOYMENT, ENVOY_GATEWAY, GATEWAY_CLASS, GATEWAY, LISTENER_SET, X_LISTENER_SET)
HELM_RELEASE = Kind("HelmRelease", "helm.toolkit.fluxcd.io", "helmreleases", ("v2",))
APPLICATION = Kind("Application", "argoproj.io", "applications", ("v1alpha1",))
# values of the gateway-helm chart: gather takes them out of values files and of the two above
HELM_VALUES = Kind("HelmValues", "egops.dev", "helmvalues", ("v1",))

ROUTE_KINDS = (HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE)
EG_POLICY_KINDS = (
    BACKEND_TRAFFIC_POLICY, CLIENT_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY, ENVOY_PATCH_POLICY,
    SECURITY_POLICY,
)  # fmt: skip
KINDS: tuple[Kind, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Kind)
)
# kinds that are made of others, not listed from the API
DERIVED = {ENVOY_GATEWAY: CONFIG_MAP, HELM_VALUES: HELM_RELEASE}
BY_GROUP_KIND = {(kind.group, kind.name): kind for kind in KINDS}

DEFAULT_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
SETTLE = timedelta(seconds=60)  # a condition is believed once it has held this long …
YOUNG = timedelta(seconds=120)  # … or its object is older than this


def kind_of(group: str, name: str) -> Kind | None:
    """Return the known kind of this group and name, or None."""
    return BY_GROUP_KIND.get((group, name))


def per_snapshot(view: Callable[[Snapshot], T]) -> Callable[[Snapshot], T]:
    """Make a view that is worked out once per snapshot; treat what it returns as read-only."""

    @wraps(view)
    def kept(snapshot: Snapshot) -> T:
        if view not in snapshot.derived:
            snapshot.derived[view] = view(snapshot)
        found: T = snapshot.derived[view]
        return found

    return kept


def per_resource(view: Callable[[Resource], Iterable[T]]) -> Callable[[Resource], tuple[T, ...]]:
    """Make a view of one object that is worked out once, whoever asks."""

    @wraps(view)
    def kept(resource: Resource) -> tuple[T, ...]:
        found: tuple[T, ...] | None = resource.derived.get(view)
        if found is None:
            found = resource.derived[view] = tuple(view(resource))
        return found

    return kept


def timestamp(value: Any) -> datetime | None:
    """Return the moment that an RFC 3339 string names, or None."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# ------------------------------------------------------------------ conditions


class Condition(NamedTuple):
    """One entry of `status.conditions`."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int | None
    last_transition: Any = None

    @property
    def since(self) -> datetime | None:
        """Return when the status became what it is."""
        return timestamp(self.last_transition)

    @property
    def is_true(self) -> bool:
        """Return whether the status is `True`."""
        return self.status == "True"

    @property
    def is_false(self) -> bool:
        """Return whether the status is `False` (not Unknown)."""
        return self.status == "False"

    def is_fresh(self, resource: Resource) -> bool:
        """Return whether it speaks of the object as it is now; no generation counts as fresh."""
        observed = self.observed_generation
        return observed is None or observed >= resource.generation

    def has_settled(self, resource: Resource, snapshot: Snapshot) -> bool:
        """Return whether the condition has held long enough to be believed (`--strict`: always)."""
        if snapshot.strict:
            return True
        created = timestamp(resource.metadata.get("creationTimestamp"))
        old = created is None or snapshot.taken_at - created > YOUNG
        since = self.since
        held = since is None or snapshot.taken_at - since >= SETTLE
        return held or (old and since is None)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _condition(entry: Mapping[str, Any]) -> Condition:
    observed = entry.get("observedGeneration")
    return Condition(
        _word(entry.get("type")),
        _word(entry.get("status")),
        _word(entry.get("reason")),
        _word(entry.get("message")),
        observed if isinstance(observed, int) and not isinstance(observed, bool) else None,
        entry.get("lastTransitionTime"),
    )


def conditions(value: Mapping[str, Any]) -> list[Condition]:
    """Return the conditions of a status-like mapping (`status`, a parent, a listener)."""
    return [_condition(entry) for _, entry in items(value, "conditions")]


def condition(value: Mapping[str, Any], kind: str) -> Condition | None:
    """Return the condition of this type, or None."""
    for _, entry in items(value, "conditions"):
        if entry.get("type") == kind:
            return _condition(entry)
    return None


def is_young(resource: Resource, snapshot: Snapshot) -> bool:
    """Return whether the object is too young for its missing status to mean anything."""
    if snapshot.strict:
        return False
    created = timestamp(resource.metadata.get("creationTimestamp"))
    return created is not None and snapshot.taken_at - created <= YOUNG


# ------------------------------------------------------------------ ours or another controller's


@dataclass(frozen=True)
class Install:
    """One Envoy Gateway installation in the snapshot."""

    namespace: str
    deployment: Resource | None
    config_object: Resource | None
    config: Mapping[str, Any]  # the EnvoyGateway configuration; empty if unknown
    version: tuple[int, ...] | None
    image: str = ""

    @property
    def controller_name(self) -> str:
        """Return the controllerName it serves."""
        return text(self.config, "gateway", "controllerName") or DEFAULT_CONTROLLER

    @property
    def is_gateway_namespace_mode(self) -> bool:
        """Return whether proxies live next to their Gateways (1.4 on)."""
        return text(self.config, "provider", "kubernetes", "deploy", "type") == "GatewayNamespace"

    def flag(self, name: str) -> bool:
        """Return whether a runtime flag is enabled."""
        return name in entries(self.config, "runtimeFlags", "enabled")

    def extension_api(self, name: str) -> bool:
        """Return whether `extensionApis.<name>` is true."""
        return section(self.config, "extensionApis").get(name) is True


@per_snapshot
def installs(snapshot: Snapshot) -> list[Install]:
    """Return the Envoy Gateway installations: Deployments labelled `control-plane=envoy-gateway`.

    Where no Deployment is in the snapshot (files), the configurations alone tell.
    """
    found = [
        _install(
            deployment.namespace,
            deployment,
            snapshot.find(ENVOY_GATEWAY, deployment.namespace, CONFIG_NAME),
        )
        for deployment in snapshot.all(DEPLOYMENT)
        if text(deployment.labels, "control-plane") == "envoy-gateway"
    ]
    return found or [
        _install(config.namespace, None, config) for config in snapshot.all(ENVOY_GATEWAY)
    ]


def _install(namespace: str, deployment: Resource | None, config: Resource | None) -> Install:
    image = ""
    if deployment is not None:
        for _, container in items(deployment.spec, "template", "spec", "containers"):
            if text(container, "name") == "envoy-gateway":
                image = text(container, "image")
    return Install(
        namespace, deployment, config, config.body if config else {}, image_version(image), image
    )


CONFIG_NAME = "envoy-gateway-config"
PARSE_ERROR = "egops.dev/parse-error"  # annotation on an ENVOY_GATEWAY whose text is not YAML


def image_version(image: str) -> tuple[int, ...] | None:
    """Return (1, 3, 0) for `docker.io/envoyproxy/gateway:v1.3.0`; None for digests and `latest`."""
    tag = image.partition("@")[0].rpartition(":")[2].removeprefix("v")
    numbers = tag.partition("-")[0].partition("+")[0].split(".")
    if len(numbers) < 2 or not all(part.isdigit() for part in numbers):
        return None
    return tuple(int(part) for part in numbers)


def running_version(snapshot: Snapshot) -> tuple[int, ...] | None:
    """Return the release of the one install, None if unknown or if several differ."""
    versions = {install.version for install in installs(snapshot)}
    return versions.pop() if len(versions) == 1 else None


@per_snapshot
def controller_names(snapshot: Snapshot) -> frozenset[str]:
    """Return the controllerNames that are ours; the default one where no install is visible."""
    return frozenset(install.controller_name for install in installs(snapshot)) or frozenset(
        {DEFAULT_CONTROLLER}
    )


@per_snapshot
def our_classes(snapshot: Snapshot) -> list[Resource]:
    """Return the GatewayClasses that an Envoy Gateway serves."""
    ours = controller_names(snapshot)
    return [
        resource
        for resource in snapshot.all(GATEWAY_CLASS)
        if text(resource.spec, "controllerName") in ours
    ]


@per_snapshot
def our_gateways(snapshot: Snapshot) -> list[Resource]:
    """Return the Gateways of our classes.

    Where no GatewayClass was given at all (files), every Gateway counts as ours.
    """
    if not snapshot.knows(GATEWAY_CLASS):
        return list(snapshot.all(GATEWAY))
    classes = {resource.name for resource in our_classes(snapshot)}
    return [
        gateway
        for gateway in snapshot.all(GATEWAY)
        if text(gateway.spec, "gatewayClassName") in classes
    ]


def unseen(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the evidence that weakens `does not exist` where only files were read."""
    if snapshot.source.type is SourceType.CLUSTER:
        return ()
    return ("judged from the input alone: what is not in it may exist in the cluster",)


# ------------------------------------------------------------------ routes


class Entry(NamedTuple):
    """A mapping inside an object, with the path to it."""

    resource: Resource
    path: tuple[str | int, ...]
    body: Mapping[str, Any]

    def at(self, *path: str | int, section: str = "") -> Location:
        """Return the place of a value inside the entry."""
        return self.resource.at(*self.path, *path, section=section)


class ObjectRef(NamedTuple):
    """A reference to another object; `kind` is None for kinds egops does not know."""

    entry: Entry
    ref: Ref | None
    group: str
    kind_name: str
    namespace: str
    name: str
    port: int | None
    section_name: str

    def __str__(self) -> str:
        """Return `Service shop/cart`."""
        return f"{self.kind_name} {self.namespace}/{self.name}"


def object_ref(entry: Entry, *, group: str = "", kind: str = "Service") -> ObjectRef:
    """Return the reference in an entry; `group` and `kind` are the defaults of its field."""
    body = entry.body
    group = body["group"] if isinstance(body.get("group"), str) else group
    kind_name = text(body, "kind") or kind
    namespace = text(body, "namespace") or entry.resource.namespace
    name = text(body, "name")
    known = kind_of(group, kind_name)
    port = body.get("port")
    return ObjectRef(
        entry,
        Ref(known, namespace if known.namespaced else "", name) if known else None,
        group,
        kind_name,
        namespace,
        name,
        port if isinstance(port, int) and not isinstance(port, bool) else None,
        text(body, "sectionName"),
    )


@per_resource
def parent_refs(route: Resource) -> Iterator[ObjectRef]:
    """Yield the parentRefs of a route (or of a ListenerSet: its one parentRef)."""
    if isinstance(route.spec.get("parentRef"), dict):
        entry = Entry(route, ("spec", "parentRef"), route.spec["parentRef"])
        yield object_ref(entry, group=GWAPI, kind="Gateway")
    for index, body in items(route.spec, "parentRefs"):
        entry = Entry(route, ("spec", "parentRefs", index), body)
        yield object_ref(entry, group=GWAPI, kind="Gateway")


@per_resource
def rules_of(route: Resource) -> Iterator[tuple[int, Entry]]:
    """Yield index and entry of the rules of a route."""
    for index, body in items(route.spec, "rules"):
        yield index, Entry(route, ("spec", "rules", index), body)


@per_resource
def backend_refs(route: Resource) -> Iterator[ObjectRef]:
    """Yield every backendRef of a route's rules; mirrors are in `mirror_refs`."""
    for _, rule in rules_of(route):
        yield from rule_backend_refs(rule)


def rule_backend_refs(rule: Entry) -> tuple[ObjectRef, ...]:
    """Return the backendRefs of one rule."""
    derived = rule.resource.derived
    key = ("rule_backend_refs", rule.path)
    if key not in derived:
        derived[key] = tuple(
            object_ref(Entry(rule.resource, (*rule.path, "backendRefs", index), body))
            for index, body in items(rule.body, "backendRefs")
        )
    found: tuple[ObjectRef, ...] = derived[key]
    return found


@per_resource
def mirror_refs(route: Resource) -> Iterator[ObjectRef]:
    """Yield the backendRefs of RequestMirror filters."""
    for _, rule in rules_of(route):
        for index, body in items(rule.body, "filters"):
            mirror = section(body, "requestMirror", "backendRef")
            if mirror:
                path = (*rule.path, "filters", index, "requestMirror", "backendRef")
                yield object_ref(Entry(rule.resource, path, mirror))


def our_parents(route: Resource, snapshot: Snapshot) -> list[Entry]:
    """Return the entries of `status.parents` that our controllers wrote."""
    return _ours(route, snapshot, "parents")


def our_ancestors(policy: Resource, snapshot: Snapshot) -> list[Entry]:
    """Return the entries of a policy's `status.ancestors` that our controllers wrote."""
    return _ours(policy, snapshot, "ancestors")


def _ours(resource: Resource, snapshot: Snapshot, field: str) -> list[Entry]:
    ours = controller_names(snapshot)
    key = (field, ours)
    if key not in resource.derived:
        resource.derived[key] = [
            Entry(resource, ("status", field, index), body)
            for index, body in items(resource.status, field)
            if text(body, "controllerName") in ours
        ]
    found: list[Entry] = resource.derived[key]
    return found


@per_snapshot
def our_parent_refs(snapshot: Snapshot) -> frozenset[Ref]:
    """Return the Gateways of ours and the ListenerSets that hang on them: what routes attach to."""
    gateways = {gateway.ref for gateway in our_gateways(snapshot)}
    return frozenset(gateways) | {
        listener_set.ref
        for kind in (LISTENER_SET, X_LISTENER_SET)
        for listener_set in snapshot.all(kind)
        if any(parent.ref in gateways for parent in parent_refs(listener_set))
        and not _is_turned_away(listener_set)
    }


def _is_turned_away(listener_set: Resource) -> bool:
    """Return whether the Gateway does not admit the ListenerSet at all: then nobody serves it."""
    accepted = condition(listener_set.status, "Accepted")
    return accepted is not None and accepted.is_false and accepted.reason == "NotAllowed"


def is_attached_to_ours(route: Resource, snapshot: Snapshot) -> bool:
    """Return whether one of the route's parentRefs leads to a Gateway of ours.

    Files may hold routes without their Gateway: there every Gateway counts as ours.
    """
    ours = our_parent_refs(snapshot)
    if any(parent.ref in ours for parent in parent_refs(route)):
        return True
    if snapshot.source.type is SourceType.CLUSTER or snapshot.knows(GATEWAY):
        return False
    return any(parent.ref and parent.ref.kind == GATEWAY for parent in parent_refs(route))


def our_routes(snapshot: Snapshot, *kinds: Kind) -> list[Resource]:
    """Return the routes of these kinds (default: all kinds) that lead to a Gateway of ours."""
    found: list[Resource] = []
    for kind in kinds or ROUTE_KINDS:
        key = ("our_routes", kind)
        if key not in snapshot.derived:
            snapshot.derived[key] = [
                route for route in snapshot.all(kind) if is_attached_to_ours(route, snapshot)
            ]
        found += snapshot.derived[key]
    return found


class Use(NamedTuple):
    """A backend that a route of ours uses: which rule, and with what weight."""

    route: Resource
    rule_index: int
    backend: ObjectRef
    weight: int
    is_mirror: bool


@per_snapshot
def our_backends(snapshot: Snapshot) -> list[Use]:
    """Return every backendRef of every route of ours, mirrors too."""
    found = []
    for route in our_routes(snapshot):
        for index, entry in rules_of(route):
            for backend in rule_backend_refs(entry):
                weight = number(backend.entry.body, "weight", default=1)
                found.append(Use(route, index, backend, weight, is_mirror=False))
        found += [Use(route, -1, mirror, 1, is_mirror=True) for mirror in mirror_refs(route)]
    return found


GrantKey = tuple[str, str, str, str, str, str]


@per_snapshot
def _grants(snapshot: Snapshot) -> dict[GrantKey, set[str]]:
    """Return the allowed names (empty: all) by from group, kind, namespace, to group, kind, ns."""
    found: dict[GrantKey, set[str]] = {}
    for grant in snapshot.all(REFERENCE_GRANT):
        for _, source in items(grant.spec, "from"):
            for _, to in items(grant.spec, "to"):
                key = (
                    text(source, "group"), text(source, "kind"), text(source, "namespace"),
                    text(to, "group"), text(to, "kind"), grant.namespace,
                )  # fmt: skip
                found.setdefault(key, set()).add(text(to, "name"))
    return found


def grants(snapshot: Snapshot, source: Resource, to: Ref) -> bool:
    """Return whether `source` may refer to `to`: same namespace, or a ReferenceGrant allows it."""
    if source.namespace == to.namespace:
        return True
    key = (
        source.kind.group, source.kind.name, source.namespace,
        to.kind.group, to.kind.name, to.namespace,
    )  # fmt: skip
    names = _grants(snapshot).get(key, set())
    return "" in names or to.name in names


# ------------------------------------------------------------------ proxies


OWNING = "gateway.envoyproxy.io/owning-"


def is_proxy(resource: Resource) -> bool:
    """Return whether a pod, Deployment or Service belongs to a fleet that we manage."""
    labels = resource.labels
    return (
        text(labels, "app.kubernetes.io/managed-by") == "envoy-gateway"
        and text(labels, "app.kubernetes.io/component") == "proxy"
    )


def fleet_key(resource: Resource) -> str:
    """Return the key of the fleet that a pod, Deployment or Service belongs to, or nothing.

    `namespace/gateway`, or the GatewayClass's name for merged gateways.
    """
    if gateway := text(resource.labels, f"{OWNING}gateway-name"):
        return f"{text(resource.labels, f'{OWNING}gateway-namespace')}/{gateway}"
    return text(resource.labels, f"{OWNING}gatewayclass")


def is_ready(pod: Resource) -> bool:
    """Return whether a pod is Ready and not on its way out."""
    ready = condition(pod.status, "Ready")
    return bool(ready and ready.is_true) and "deletionTimestamp" not in pod.metadata
