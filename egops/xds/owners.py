"""Whose an xDS resource is: the metadata first, the name second, never a guess.

The interface, on a dump alone:

- `route_source(route)`: which match of which rule made an Envoy route.
- `virtual_host_gateway(virtual_host)`: which Gateway's listener it serves.
- `listener_owner(listener)`, `chain_owner(chain)`: the Gateway's listener, or the route of a chain.
- `cluster_owner(cluster)`, `locality_owner(locality)`: rule and backendRef, policy, shared backend.
- `secret_owners(secret)`, `filter_owner(name)`: the objects behind certificates and HTTP filters.

Each answers with the owner, a `Conflict` (metadata and name name different objects), `Own` (Envoy
Gateway's own: metrics, readiness, control plane), or None: nothing owns it, so it was put there by
an EnvoyPatchPolicy, an extension server, the bootstrap, or it is not Envoy Gateway's at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from egops.xds import names
from egops.xds.names import ListenerName, ObjectName, OwnListenerName, PortName

if TYPE_CHECKING:
    from egops.xds.config_dump import (
        Cluster,
        EgResource,
        FilterChain,
        Listener,
        LocalityEndpoints,
        Metadata,
        Route,
        SecretEntry,
        VirtualHost,
    )


class Source(Struct, frozen=True, gc=False):
    """The match of a rule that made an Envoy route.

    `rule` and `match` are indexes into the object's spec; `match` is -1 for a rule without matches.
    Both are None if only the object is known. `section_name` is the rule's name (1.3 on).
    """

    kind: str
    namespace: str
    name: str
    rule: int | None = None
    match: int | None = None
    section_name: str = field(default="", name="sectionName")
    hostname: str = ""
    preflight: bool | UnsetType = UNSET  # the OPTIONS helper of a CORS filter

    @property
    def object(self) -> ObjectName:
        """Return the route object."""
        return ObjectName(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return `HTTPRoute/shop/cart/0`: the rule as the command line takes it."""
        base = f"{self.kind}/{self.namespace}/{self.name}"
        return base if self.rule is None else f"{base}/{self.rule}"


class GatewayListener(Struct, frozen=True, gc=False):
    """A listener of a Gateway, or of a ListenerSet attached to it."""

    namespace: str
    name: str
    listener: str = ""
    listener_set: str = field(default="", name="listenerSet")  # `namespace/name`, 1.7 on

    @property
    def object(self) -> ObjectName:
        """Return the Gateway."""
        return ObjectName("Gateway", self.namespace, self.name)

    def __str__(self) -> str:
        """Return `Gateway/edge/public/https`."""
        return f"Gateway/{self.namespace}/{self.name}/{self.listener}".rstrip("/")


class Owner(Struct, frozen=True, gc=False):
    """The object behind a cluster, endpoint, filter chain, filter or secret.

    `role` says what the resource is to it: `rule`, `backendRef`, `mirror`, `shared backend`,
    `extauth`, `certificate`, …. `backend` is the index of the backendRef; up to 1.3 it counts only
    the backendRefs of non-zero weight.
    """

    kind: str
    namespace: str
    name: str
    role: str = ""
    rule: int | None = None
    backend: int | None = None
    section_name: str = field(default="", name="sectionName")

    @property
    def object(self) -> ObjectName:
        """Return the object."""
        return ObjectName(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return `HTTPRoute/shop/cart/0`."""
        base = f"{self.kind}/{self.namespace}/{self.name}".replace("//", "/")
        return base if self.rule is None or self.rule < 0 else f"{base}/{self.rule}"


class Conflict(Struct, frozen=True, gc=False):
    """Metadata and name do not fit together: somebody patched the resource.

    `metadata` and `name` say what each of them names; `name` is empty if it has no form that Envoy
    Gateway gives.
    """

    metadata: str
    name: str
    reason: str

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


class Own(Struct, frozen=True, gc=False):
    """Envoy Gateway's own, for no Gateway API object."""

    purpose: str

    def __str__(self) -> str:
        """Return the purpose in angle brackets."""
        return f"<{self.purpose}>"


# ------------------------------------------------------------------ routes


def route_source(
    route: Route, virtual_host: VirtualHost | None = None
) -> Source | Conflict | Own | None:
    """Return which match of which rule made a route.

    A route whose metadata names an object but whose own name has no form of Envoy Gateway is a
    Conflict as well: the object made it once, but which rule is unknown.
    """
    made_by = route.metadata.resource
    if made_by is not None and (source := _regular(route.name, made_by)) is not None:
        return source
    found = names.parse_route(route.name)
    if found is None:
        if made_by is not None:
            said = f"the name {route.name or '(none)'!r} is not Envoy Gateway's"
            return Conflict(_spell(made_by), "", f"{said}; the metadata says {_spell(made_by)}")
        return OWN_ROUTES.get(virtual_host.name) if virtual_host else None
    if made_by is not None and not _same(made_by, found.kind, found.namespace, found.name):
        by_name = f"{found.kind}/{found.namespace}/{found.name}"
        return _disagree(_spell(made_by), by_name)
    return Source(
        found.kind,
        found.namespace,
        found.name,
        found.rule,
        found.match,
        made_by.section_name if made_by else "",
        found.hostname,
        True if found.preflight else UNSET,
    )


def _regular(name: str, made_by: EgResource) -> Source | None:
    """Return the source of a route that is as it should be: parsing 50,000 names takes too long.

    The name must begin as the metadata says; anything but the plain form is left to the grammar.
    """
    kind, namespace, owner, section = msgspec.structs.astuple(made_by)
    lower = _LOWER.get(kind)
    if lower is None or not name.startswith(prefix := f"{lower}/{namespace}/{owner}/rule/"):
        return None
    parts = name[len(prefix) :].split("/")
    if len(parts) != 4 or parts[1] != "match":
        return None
    rule, _, match, host = parts
    if not (rule.isdecimal() and match.isdecimal() and rule.isascii() and match.isascii()):
        return None
    if not names.is_host(host):
        return None
    return Source(kind, namespace, owner, int(rule), int(match), section, names.dotted(host))


_LOWER = {"HTTPRoute": "httproute", "GRPCRoute": "grpcroute"}
OWN_ROUTES = {
    "prometheus_stats": Own("metrics"),
    "ready_route": Own("readiness probe"),
    "error_vhost": Own("failed extension hook"),
}


def _same(made_by: EgResource, kind: str, namespace: str, name: str) -> bool:
    return (
        made_by.name == name
        and made_by.namespace == namespace
        and (not made_by.kind or made_by.kind == kind)
    )


def _spell(made_by: EgResource) -> str:
    kind = f"{made_by.kind}/" if made_by.kind else ""
    return f"{kind}{made_by.namespace}/{made_by.name}"


def _disagree(metadata: str, name: str) -> Conflict:
    return Conflict(metadata, name, f"the metadata says {metadata}, the name {name}")


def virtual_host_gateway(virtual_host: VirtualHost) -> GatewayListener | Conflict | Own | None:
    """Return which Gateway's listener a virtual host serves.

    The route configuration's name is of no use: it is the first listener's on that port.
    """
    found = names.parse_virtual_host(virtual_host.name)
    listener = found.listener if found else None
    made_by = virtual_host.metadata.resource
    if made_by is None:
        if listener is not None:
            return gateway_listener(listener)
        return OWN_ROUTES.get(virtual_host.name)
    said = GatewayListener(made_by.namespace, made_by.name, made_by.section_name)
    if made_by.kind not in ("Gateway", ""):
        return _disagree(_spell(made_by), str(gateway_listener(listener)) if listener else "")
    if listener is None:
        return said
    named = gateway_listener(listener)
    agrees = (said.namespace, said.name) == (named.namespace, named.name)
    if not agrees or (said.listener and said.listener != named.listener):
        return _disagree(str(said), str(named))
    return named


def gateway_listener(name: ListenerName) -> GatewayListener:
    """Return the listener that a name of scheme V1 says."""
    listener_set = f"{name.set_namespace}/{name.set_name}" if name.set_name else ""
    return GatewayListener(name.namespace, name.gateway, name.section, listener_set)


# ------------------------------------------------------------------ listeners


def listener_owner(listener: Listener) -> GatewayListener | PortName | Own | None:
    """Return the first Gateway listener on this address and port.

    Others on the same port share it silently: see `listener_gateways` of `egops.xds.topology`. In
    XDSNameSchemeV2 the name tells only the Gateway's port.
    """
    udp = listener.address.socket_address.protocol == "UDP"
    return listener_name_owner(listener.name, udp=udp)


def listener_name_owner(name: str, *, udp: bool = False) -> GatewayListener | PortName | Own | None:
    """Return what the name of a listener alone tells."""
    match names.parse_listener(name, udp=udp):
        case OwnListenerName(purpose=purpose):
            return Own("readiness probe" if purpose == "ready" else "metrics")
        case PortName() as port:
            return port
        case ListenerName() as found:
            return gateway_listener(found)
        case _:
            return None


def chain_owner(chain: FilterChain) -> GatewayListener | PortName | Owner | None:
    """Return the Gateway listener of an HTTP filter chain, or the route of a TCP one."""
    http = any(filter_.type == "HttpConnectionManager" for filter_ in chain.filters)
    match names.parse_chain(chain.name, http=http):
        case ListenerName() as name:
            return gateway_listener(name)
        case PortName() as port:
            return port
        case ObjectName() as route:
            return Owner(route.kind, route.namespace, route.name, "route")
        case _:
            return None


# ------------------------------------------------------------------ clusters


def cluster_owner(cluster: Cluster, fleet: str = "") -> Owner | Conflict | Own | None:
    """Return the rule, backend or policy of a cluster; `fleet` is the key of the own fleet.

    A name that looks like a URL's counts only if the cluster really goes to that host: who calls
    it, `callers` of `egops.xds.references` tells.
    """
    found = names.parse_cluster(cluster.name, fleet)
    if isinstance(found, names.UrlCluster):
        host = f'"{found.host}"'.encode()
        return Own(_URL.format(found)) if host in bytes(cluster.load_assignment) else None
    return _cluster_owner(cluster.name, cluster.metadata, fleet)


_URL = "URL {0.host}:{0.port}"


def cluster_name_owner(name: str, fleet: str = "") -> Owner | Own | None:
    """Return what the name of a cluster alone tells, for references."""
    match names.parse_cluster(name, fleet):
        case names.RuleCluster() as found:
            role = "rule" if found.backend is None else "backendRef"
            return Owner(found.kind, found.namespace, found.name, role, found.rule, found.backend)
        case names.MirrorCluster() as found:
            return Owner(found.kind, found.namespace, found.name, "mirror", found.rule)
        case names.BackendCluster() as found:
            return Owner(
                found.kind,
                found.namespace,
                found.name,
                "shared backend",
                section_name=str(found.port),
            )
        case names.PolicyCluster() as found:
            return Owner(found.kind, found.namespace, found.name, found.purpose)
        case names.OwnCluster() as found:
            return Own(found.purpose)
        case names.UrlCluster() as found:
            return Own(_URL.format(found))
        case _:
            return None


def _cluster_owner(name: str, metadata: Metadata, fleet: str) -> Owner | Conflict | Own | None:
    by_name = cluster_name_owner(name, fleet)
    made_by = metadata.resource
    if made_by is None:
        return by_name
    if by_name is None:
        section = made_by.section_name
        return Owner(made_by.kind, made_by.namespace, made_by.name, section_name=section)
    if isinstance(by_name, Own):  # the own fleet's Service, the EnvoyProxy that asks for tracing
        return by_name
    if not _same(made_by, by_name.kind, by_name.namespace, by_name.name):
        return _disagree(_spell(made_by), str(by_name))
    return Owner(
        by_name.kind,
        by_name.namespace,
        by_name.name,
        by_name.role,
        by_name.rule,
        by_name.backend,
        made_by.section_name or by_name.section_name,
    )


def locality_owner(endpoints: LocalityEndpoints) -> Owner | None:
    """Return the backendRef of a locality: its `backend` counts them in the rule."""
    match names.parse_region(endpoints.locality.region):
        case names.RuleCluster() as found:
            return Owner(
                found.kind, found.namespace, found.name, "backendRef", found.rule, found.backend
            )
        case names.MirrorCluster() as found:
            return Owner(found.kind, found.namespace, found.name, "mirror", found.rule)
        case names.PolicyCluster() as found:
            return Owner(
                found.kind, found.namespace, found.name, found.purpose, backend=found.backend
            )
        case _:
            return None


# ------------------------------------------------------------------ secrets and filters


def secret_owners(secret: SecretEntry, contents: str = "") -> tuple[Owner, ...] | Own | None:
    """Return the objects that a secret may come from: one, unless the name leaves it open.

    `contents` is the field that it holds (`tls_certificate`, `validation_context`, …).
    """
    certificate = {"tls_certificate": True, "validation_context": False}.get(contents)
    if (found := names.parse_secret(secret.name, is_certificate=certificate)) is None:
        return None
    if not found.owners:
        return Own(found.purpose)
    return tuple(
        Owner(owner.kind, owner.namespace, owner.name, _role(found.purpose, owner))
        for owner in found.owners
    )


def _role(purpose: str, owner: ObjectName) -> str:
    if purpose != "certificate or backend CA":
        return purpose
    return "certificate" if owner.kind == "Secret" else "backend CA"


def filter_owner(name: str) -> Owner | None:
    """Return the policy that an HTTP filter was made for, if its name says so."""
    found = names.parse_filter(name)
    if (owner := found.owner) is None:
        return None
    return Owner(owner.kind, owner.namespace, owner.name, found.short)
