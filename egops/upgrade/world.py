"""Who is attached to whom: Gateways, listeners, routes and policies, as Envoy Gateway joins them.

One `World` per snapshot, made by `world(snapshot)`; each part is computed when first asked for. A
rule declares the kinds of the parts it uses: `CORE` and what stands at each method.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENVOY_GATEWAY,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    GWAPI,
    HTTP_ROUTE,
    NAMESPACE,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    controller_names,
    installs,
    parent_refs,
    timestamp,
)
from egops.snapshot import Kind, Resource, SourceType, entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.gatewayapi import Install, ObjectRef
    from egops.snapshot import Location, Path, Snapshot

CORE = (GATEWAY, GATEWAY_CLASS, DEPLOYMENT, ENVOY_GATEWAY)
ROUTES = (*CORE, HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE, NAMESPACE)
_ROUTE_KINDS = (HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE)
_HTTP = (HTTP_ROUTE, GRPC_ROUTE)
SLICE_LABELS = ("kubernetes.io/service-name", "multicluster.kubernetes.io/service-name")


@dataclass(frozen=True)
class Listener:
    """One listener of a Gateway of ours."""

    gateway: Resource
    index: int
    body: Mapping[str, object]

    @property
    def name(self) -> str:
        """Return its name."""
        return text(self.body, "name")

    @property
    def protocol(self) -> str:
        """Return `HTTP`, `HTTPS`, `TLS`, `TCP` or `UDP`."""
        return text(self.body, "protocol")

    @property
    def port(self) -> int:
        """Return its port."""
        return number(self.body, "port")

    @property
    def hostname(self) -> str:
        """Return its hostname, or nothing if it takes every one."""
        return text(self.body, "hostname")

    @property
    def is_http(self) -> bool:
        """Return whether an HTTP connection manager serves it."""
        return self.protocol in ("HTTP", "HTTPS")

    @property
    def terminates_tls(self) -> bool:
        """Return whether the proxy holds its certificate."""
        mode = text(self.body, "tls", "mode") or "Terminate"
        return self.protocol in ("HTTPS", "TLS") and mode == "Terminate"

    @property
    def route_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of routes that its protocol takes."""
        if self.is_http:
            return _HTTP
        if self.protocol == "TLS":
            return (TCP_ROUTE,) if self.terminates_tls else (TLS_ROUTE,)
        return {"TCP": (TCP_ROUTE,), "UDP": (UDP_ROUTE,)}.get(self.protocol, ())

    @property
    def label(self) -> str:
        """Return `edge/eg, listener https`."""
        return f"{self.gateway.namespace}/{self.gateway.name}, listener {self.name}"

    def at(self, *path: str | int) -> Location:
        """Return the place of a value in it."""
        return self.gateway.at("spec", "listeners", self.index, *path, section=self.name)


@dataclass(frozen=True)
class Attachment:
    """A route and the listeners that take it."""

    route: Resource
    listeners: tuple[Listener, ...]

    @property
    def gateways(self) -> tuple[Resource, ...]:
        """Return the Gateways of the listeners, each once."""
        return tuple({gateway.ref: gateway for gateway in self._gateways()}.values())

    def _gateways(self) -> Iterator[Resource]:
        for listener in self.listeners:
            yield listener.gateway


@dataclass(frozen=True)
class Target:
    """What a policy points at."""

    kind: str
    group: str
    namespace: str
    name: str
    section: str
    path: Path


def age(resource: Resource) -> tuple[float, str, str]:
    """Return the key by which Envoy Gateway prefers one policy to another: the oldest wins."""
    created = timestamp(resource.metadata.get("creationTimestamp"))
    return (created.timestamp() if created else 0.0, resource.namespace, resource.name)


def targets(policy: Resource) -> Iterator[Target]:
    """Yield what a policy names in `targetRef` and `targetRefs`; selectors are in `matches`."""
    spec = policy.spec
    single = section(spec, "targetRef")
    if single:
        yield _target(policy, single, ("spec", "targetRef"))
    for index, body in items(spec, "targetRefs"):
        yield _target(policy, body, ("spec", "targetRefs", index))


def _target(policy: Resource, body: Mapping[str, object], path: Path) -> Target:
    return Target(
        text(body, "kind"),
        text(body, "group"),
        policy.namespace,
        text(body, "name"),
        text(body, "sectionName"),
        path,
    )


def aims_at(policy: Resource, resource: Resource, listener: str = "") -> bool:
    """Return whether a policy names the object itself (or, with `listener`, that section of it)."""
    if policy.namespace != resource.namespace:
        return False
    for target in targets(policy):
        named = (target.kind, target.name) == (resource.kind.name, resource.name)
        if named and target.section == listener:
            return True
    return not listener and _is_selected(policy, resource)


def _is_selected(policy: Resource, resource: Resource) -> bool:
    for _, selector in items(policy.spec, "targetSelectors"):
        labels = section(selector, "matchLabels")
        group = text(selector, "group") or GWAPI
        if text(selector, "kind") != resource.kind.name or group != resource.kind.group:
            continue
        if all(resource.labels.get(key) == value for key, value in labels.items()):
            return True
    return False


class World:
    """The joins of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.faults: dict[Any, Any] = {}  # of backendRefs: filled by `backends.fault_of`

    @cached_property
    def classes(self) -> dict[str, Resource]:
        """Return the GatewayClasses of ours by name."""
        ours = controller_names(self.snapshot)
        return {
            found.name: found
            for found in self.snapshot.all(GATEWAY_CLASS)
            if text(found.spec, "controllerName") in ours
        }

    @cached_property
    def gateways(self) -> tuple[Resource, ...]:
        """Return the Gateways of ours; all of them where no GatewayClass was given."""
        found = self.snapshot.all(GATEWAY)
        if not self.snapshot.knows(GATEWAY_CLASS):
            return found
        return tuple(g for g in found if text(g.spec, "gatewayClassName") in self.classes)

    @cached_property
    def is_whole(self) -> bool:
        """Return whether the Gateways are known, so that a missing one does not exist."""
        return self.snapshot.knows(GATEWAY)

    @cached_property
    def install(self) -> Install | None:
        """Return the installation, if there is one in the snapshot."""
        found = installs(self.snapshot)
        return found[0] if found else None

    @property
    def config(self) -> Mapping[str, object] | None:
        """Return the EnvoyGateway configuration, or None if it was not given."""
        if self.install is None or self.install.config_object is None:
            return None
        return self.install.config

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """Return every listener of every Gateway of ours."""
        return tuple(
            Listener(gateway, index, body)
            for gateway in self.gateways
            for index, body in items(gateway.spec, "listeners")
        )

    def listeners_of(self, gateway: Resource) -> tuple[Listener, ...]:
        """Return the listeners of one Gateway."""
        return self._by_gateway.get((gateway.namespace, gateway.name), ())

    @cached_property
    def _by_gateway(self) -> dict[tuple[str, str], tuple[Listener, ...]]:
        found: dict[tuple[str, str], list[Listener]] = {}
        for listener in self.listeners:
            key = (listener.gateway.namespace, listener.gateway.name)
            found.setdefault(key, []).append(listener)
        return {key: tuple(value) for key, value in found.items()}

    # ------- EnvoyProxy, which a rule that asks declares

    def class_proxy(self, class_name: str) -> Resource | None:
        """Return the EnvoyProxy that a GatewayClass of ours names."""
        found = self.classes.get(class_name)
        reference = section(found.spec, "parametersRef") if found else {}
        if text(reference, "kind") != ENVOY_PROXY.name:
            return None
        return self.snapshot.find(
            ENVOY_PROXY, text(reference, "namespace"), text(reference, "name")
        )

    def proxy_of(self, gateway: Resource) -> Resource | None:
        """Return the EnvoyProxy that counts for a Gateway: its own, else its class'."""
        reference = section(gateway.spec, "infrastructure", "parametersRef")
        name = text(reference, "name")
        if name and text(reference, "kind") == ENVOY_PROXY.name:
            own = self.snapshot.find(ENVOY_PROXY, gateway.namespace, name)
            if own is not None:
                return own
        return self.class_proxy(text(gateway.spec, "gatewayClassName"))

    def is_merged(self, gateway: Resource) -> bool:
        """Return whether the Gateways of this one's class share a fleet."""
        proxy = self.class_proxy(text(gateway.spec, "gatewayClassName"))
        return proxy is not None and proxy.spec.get("mergeGateways") is True

    def routes_to_services(self, gateway: Resource) -> bool:
        """Return whether the proxy talks to Service addresses instead of endpoints."""
        proxy = self.proxy_of(gateway)
        return proxy is not None and text(proxy.spec, "routingType") == "Service"

    @cached_property
    def used_proxies(self) -> dict[tuple[str, str], tuple[Resource, tuple[Resource, ...]]]:
        """Return each EnvoyProxy that counts, with the Gateways it counts for."""
        found: dict[tuple[str, str], tuple[Resource, list[Resource]]] = {}
        for gateway in self.gateways:
            proxy = self.proxy_of(gateway)
            if proxy is not None:
                key = (proxy.namespace, proxy.name)
                found.setdefault(key, (proxy, []))[1].append(gateway)
        return {key: (proxy, tuple(used)) for key, (proxy, used) in found.items()}

    # ------- routes, whose kinds are in `ROUTES`

    @cached_property
    def attachments(self) -> dict[Kind, tuple[Attachment, ...]]:
        """Return the routes that lead to a Gateway of ours, with the listeners that take them.

        Where no Gateway at all was given, every route counts, without listeners.
        """
        return {kind: tuple(self._attached(kind)) for kind in _ROUTE_KINDS}

    def _attached(self, kind: Kind) -> Iterator[Attachment]:
        for route in self.snapshot.all(kind):
            if not self.is_whole:
                yield Attachment(route, ())
                continue
            found = {
                (listener.gateway.ref, listener.index): listener
                for parent in parent_refs(route)
                for listener in self._taken(route, parent)
            }
            if found:
                yield Attachment(route, tuple(found.values()))

    def routes(self, *kinds: Kind) -> Iterator[Attachment]:
        """Yield the attached routes of these kinds."""
        for kind in kinds or _ROUTE_KINDS:
            yield from self.attachments[kind]

    @cached_property
    def by_listener(self) -> dict[tuple[str, str, str], tuple[Attachment, ...]]:
        """Return the attached routes of each listener: namespace, Gateway, listener name."""
        found: dict[tuple[str, str, str], list[Attachment]] = {}
        for attachment in self.routes():
            for listener in attachment.listeners:
                found.setdefault(self._key(listener), []).append(attachment)
        return {key: tuple(value) for key, value in found.items()}

    def routes_of(self, listener: Listener, *kinds: Kind) -> tuple[Attachment, ...]:
        """Return the routes that a listener takes."""
        return tuple(
            found
            for found in self.by_listener.get(self._key(listener), ())
            if not kinds or found.route.kind in kinds
        )

    @staticmethod
    def _key(listener: Listener) -> tuple[str, str, str]:
        return (listener.gateway.namespace, listener.gateway.name, listener.name)

    def _taken(self, route: Resource, parent: ObjectRef) -> Iterator[Listener]:
        if parent.kind_name != GATEWAY.name or parent.group != GWAPI:
            return
        for listener in self._by_gateway.get((parent.namespace, parent.name), ()):
            if parent.section_name and parent.section_name != listener.name:
                continue
            if parent.port is not None and parent.port != listener.port:
                continue
            if route.kind in listener.route_kinds and self._allows(listener, route):
                yield listener

    def _allows(self, listener: Listener, route: Resource) -> bool:
        kinds = entries(listener.body, "allowedRoutes", "kinds")
        if kinds and not any(text(entry, "kind") == route.kind.name for entry in kinds):
            return False
        return self._allows_namespace(listener, route) and _hosts_meet(listener, route)

    def _allows_namespace(self, listener: Listener, route: Resource) -> bool:
        wanted = section(listener.body, "allowedRoutes", "namespaces")
        match text(wanted, "from") or "Same":
            case "All":
                return True
            case "Selector":
                namespace = self.snapshot.find(NAMESPACE, "", route.namespace)
                if namespace is None:  # files rarely hold Namespaces: it may match
                    return self.snapshot.source.type is not SourceType.CLUSTER
                return _selects(section(wanted, "selector"), namespace.labels)
            case "Same":
                return route.namespace == listener.gateway.namespace
            case _:
                return False

    @cached_property
    def slices(self) -> dict[tuple[str, str, str], list[Resource]]:
        """Return the EndpointSlices by namespace, label and what the label names."""
        found: dict[tuple[str, str, str], list[Resource]] = {}
        for piece in self.snapshot.all(ENDPOINT_SLICE):
            for label in SLICE_LABELS:
                if name := text(piece.labels, label):
                    found.setdefault((piece.namespace, label, name), []).append(piece)
        return found

    @cached_property
    def tls_policies(self) -> dict[tuple[str, str, str], list[Resource]]:
        """Return the BackendTLSPolicies by namespace, kind and name of what they protect."""
        found: dict[tuple[str, str, str], list[Resource]] = {}
        for policy in self.snapshot.all(BACKEND_TLS_POLICY):
            for target in targets(policy):
                key = (policy.namespace, target.kind, target.name)
                found.setdefault(key, []).append(policy)
        return found

    # ------- policies, whose kind a rule that asks declares

    def route_policy(self, kind: Kind, route: Resource) -> Resource | None:
        """Return the policy of this kind that is attached to the route itself."""
        return self._oldest([p for p in self._aiming(kind, route) if aims_at(p, route)])

    def gateway_policy(self, kind: Kind, gateway: Resource) -> Resource | None:
        """Return the policy of this kind that is attached to the whole Gateway."""
        return self._oldest([p for p in self._aiming(kind, gateway) if aims_at(p, gateway)])

    def route_policies(self, kind: Kind, attachment: Attachment) -> tuple[Resource, ...]:
        """Return the policies that count for a route: its own one, else those of its Gateways."""
        own = self.route_policy(kind, attachment.route)
        if own is not None:
            return (own,)
        found = (self.gateway_policy(kind, gateway) for gateway in attachment.gateways)
        return tuple({policy.ref: policy for policy in found if policy is not None}.values())

    def listener_policy(self, kind: Kind, listener: Listener) -> Resource | None:
        """Return the policy that counts for a listener: its section's, else the Gateway's."""
        aiming = self._aiming(kind, listener.gateway)
        own = [p for p in aiming if aims_at(p, listener.gateway, listener.name)]
        return self._oldest(own) or self.gateway_policy(kind, listener.gateway)

    def on_listeners(self, kind: Kind) -> list[tuple[Resource, tuple[Listener, ...]]]:
        """Return each policy of a kind that counts for a listener, with those listeners.

        Where no Gateway at all was given, every policy counts, without listeners.
        """
        if not self.is_whole:
            return [(policy, ()) for policy in self.snapshot.all(kind)]
        found: dict[tuple[str, str], tuple[Resource, list[Listener]]] = {}
        for listener in self.listeners:
            policy = self.listener_policy(kind, listener)
            if policy is not None and not self._overlaps(policy, listener):
                key = (policy.namespace, policy.name)
                found.setdefault(key, (policy, []))[1].append(listener)
        return [(policy, tuple(used)) for policy, used in found.values()]

    def _overlaps(self, policy: Resource, listener: Listener) -> bool:
        """Return whether a policy is refused because another plain listener shares the port."""
        if listener.protocol != "HTTP":
            return False
        one_listener = aims_at(policy, listener.gateway, listener.name)
        merged = self.is_merged(listener.gateway)
        others = self.listeners if merged else self.listeners_of(listener.gateway)
        return any(
            other.protocol == "HTTP"
            and other.port == listener.port
            and (other.gateway.ref, other.index) != (listener.gateway.ref, listener.index)
            and (one_listener or other.gateway.ref != listener.gateway.ref)
            for other in others
        )

    def _aiming(self, kind: Kind, resource: Resource) -> list[Resource]:
        key = (resource.namespace, resource.kind.name, resource.name)
        index = self._policies(kind)
        return [*index.get(key, ()), *index.get((resource.namespace, "", ""), ())]

    def _policies(self, kind: Kind) -> dict[tuple[str, str, str], list[Resource]]:
        """Return the policies by what they name; those with selectors under empty names."""
        cache: dict[Kind, dict[tuple[str, str, str], list[Resource]]]
        cache = self.__dict__.setdefault("_policy_index", {})
        if kind not in cache:
            index: dict[tuple[str, str, str], list[Resource]] = {}
            for policy in self.snapshot.all(kind):
                keys = {(policy.namespace, target.kind, target.name) for target in targets(policy)}
                if entries(policy.spec, "targetSelectors"):
                    keys.add((policy.namespace, "", ""))
                for key in keys:
                    index.setdefault(key, []).append(policy)
            cache[kind] = index
        return cache[kind]

    @staticmethod
    def _oldest(found: list[Resource]) -> Resource | None:
        return min(found, key=age) if found else None

    def in_use(self, kind: Kind) -> Iterator[tuple[Resource, tuple[Attachment, ...]]]:
        """Yield each policy of a kind that counts for a route, with those routes."""
        found: dict[tuple[str, str], tuple[Resource, list[Attachment]]] = {}
        if not self.is_whole:
            for policy in self.snapshot.all(kind):
                yield policy, ()
            return
        for attachment in self.routes():
            for policy in self.route_policies(kind, attachment):
                key = (policy.namespace, policy.name)
                found.setdefault(key, (policy, []))[1].append(attachment)
        for policy, used in found.values():
            yield policy, tuple(used)

    # ------- where findings about versions point

    def anchor(self) -> Location | None:
        """Return the object that stands for the installation: Deployment, configuration, class."""
        if self.install is not None and self.install.deployment is not None:
            return self.install.deployment.at("spec", "template", "spec", "containers")
        if self.install is not None and self.install.config_object is not None:
            return self.install.config_object.at()
        for found in (*self.classes.values(), *self.gateways):
            return found.at()
        return None


def world(snapshot: Snapshot) -> World:
    """Return the joins of a snapshot, made once."""
    found = snapshot.__dict__.get("_world")
    if found is None:
        found = snapshot.__dict__["_world"] = World(snapshot)
    assert isinstance(found, World)
    return found


def _selects(selector: Mapping[str, object], labels: Mapping[str, object]) -> bool:
    for key, value in section(selector, "matchLabels").items():
        if labels.get(key) != value:
            return False
    for _, term in items(selector, "matchExpressions"):
        key, values = text(term, "key"), entries(term, "values")
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds.get(text(term, "operator"), False):
            return False
    return True


def hostnames(route: Resource) -> list[str]:
    """Return the hostnames of a route."""
    return [host for host in entries(route.spec, "hostnames") if isinstance(host, str)]


def _hosts_meet(listener: Listener, route: Resource) -> bool:
    if route.kind in (TCP_ROUTE, UDP_ROUTE) or not listener.hostname or not hostnames(route):
        return True
    return any(meet(listener.hostname, host) for host in hostnames(route))


def meet(one: str, other: str) -> str:
    """Return the narrower of two hostnames that can match the same request, or nothing."""
    one, other = one.lower(), other.lower()
    if one in ("", "*") or other in ("", "*"):
        return other if one in ("", "*") else one
    if one == other:
        return one
    if one.startswith("*.") and other.endswith(one[1:]):
        return other
    if other.startswith("*.") and one.endswith(other[1:]):
        return one
    return ""
