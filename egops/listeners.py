"""Listeners of our Gateways and of the ListenerSets on them, and which routes may attach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    GWAPI,
    HTTP_ROUTE,
    LISTENER_SET,
    NAMESPACE,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    X_LISTENER_SET,
    Condition,
    ObjectRef,
    condition,
    our_gateways,
    parent_refs,
    per_snapshot,
)
from egops.snapshot import SourceType, entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Location, Ref, Resource, Snapshot

ROUTE_KINDS_OF = {
    "HTTP": {HTTP_ROUTE.name, GRPC_ROUTE.name},
    "HTTPS": {HTTP_ROUTE.name, GRPC_ROUTE.name},
    "TLS": {TLS_ROUTE.name, TCP_ROUTE.name},
    "TCP": {TCP_ROUTE.name},
    "UDP": {UDP_ROUTE.name},
}
WITH_HOSTNAMES = (HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE)


@dataclass(frozen=True)
class Listener:
    """One listener: where it is written, what it says, and what its status says."""

    owner: Resource  # the Gateway, or the ListenerSet
    gateway: Resource
    index: int
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return its name, unique within its owner."""
        return text(self.spec, "name")

    @property
    def port(self) -> int:
        """Return the port clients connect to."""
        return number(self.spec, "port")

    @property
    def protocol(self) -> str:
        """Return `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP` or something else."""
        return text(self.spec, "protocol")

    @property
    def hostname(self) -> str:
        """Return the hostname, empty for all."""
        return text(self.spec, "hostname").lower()

    @property
    def is_terminating(self) -> bool:
        """Return whether TLS ends here."""
        if self.protocol == "HTTPS":
            return True
        return self.protocol == "TLS" and text(self.spec, "tls", "mode") != "Passthrough"

    def at(self, *path: str | int) -> Location:
        """Return the place of a value in the listener."""
        return self.owner.at("spec", "listeners", self.index, *path, section=self.name)

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return condition(self.status, kind)

    def __str__(self) -> str:
        """Return `https (HTTPS 443, *.example.com)`."""
        host = f", {self.hostname}" if self.hostname else ""
        return f"{self.name} ({self.protocol} {self.port}{host})"


def listeners_of(owner: Resource, gateway: Resource) -> Iterator[Listener]:
    """Yield the listeners that a Gateway or ListenerSet spells out."""
    statuses = {text(entry, "name"): entry for _, entry in items(owner.status, "listeners")}
    for index, spec in items(owner.spec, "listeners"):
        yield Listener(owner, gateway, index, spec, statuses.get(text(spec, "name"), {}))


@per_snapshot
def listener_sets(snapshot: Snapshot) -> dict[Ref, list[Resource]]:
    """Return the ListenerSets of each Gateway."""
    found: dict[Ref, list[Resource]] = {}
    for kind in (LISTENER_SET, X_LISTENER_SET):
        for listener_set in snapshot.all(kind):
            for parent in parent_refs(listener_set):
                if parent.ref and parent.ref.kind == GATEWAY:
                    found.setdefault(parent.ref, []).append(listener_set)
    return found


@per_snapshot
def our_listeners(snapshot: Snapshot) -> dict[Ref, list[Listener]]:
    """Return the listeners by owner: each of our Gateways and each ListenerSet on one."""
    found: dict[Ref, list[Listener]] = {}
    for gateway in our_gateways(snapshot):
        found[gateway.ref] = list(listeners_of(gateway, gateway))
        for listener_set in listener_sets(snapshot).get(gateway.ref, []):
            found[listener_set.ref] = list(listeners_of(listener_set, gateway))
    return found


def every_listener(snapshot: Snapshot) -> Iterator[Listener]:
    """Yield the listeners of all our Gateways and their ListenerSets."""
    for found in our_listeners(snapshot).values():
        yield from found


# ------------------------------------------------------------------ attachment


@dataclass(frozen=True)
class Attempt:
    """One listener that a parentRef could mean, and the tests that the route fails there."""

    parent: ObjectRef
    listener: Listener
    failures: tuple[str, ...]

    @property
    def succeeds(self) -> bool:
        """Return whether the route attaches."""
        return not self.failures

    def __str__(self) -> str:
        """Return `listener https (HTTPS 443): hostname: …`."""
        return f"listener {self.listener}: {'; '.join(self.failures) or 'attaches'}"


def attempts(route: Resource, snapshot: Snapshot) -> Iterator[Attempt]:
    """Yield what each listener of each of our parents says to the route."""
    for parent in parent_refs(route):
        yield from parent_attempts(route, parent, snapshot)


def parent_attempts(route: Resource, parent: ObjectRef, snapshot: Snapshot) -> Iterator[Attempt]:
    """Yield what each listener of one parent says to the route; nothing if it is not ours."""
    if parent.ref is None:
        return
    for listener in our_listeners(snapshot).get(parent.ref, []):
        yield Attempt(parent, listener, tuple(_failures(route, parent, listener, snapshot)))


def attached_listeners(route: Resource, snapshot: Snapshot) -> list[Listener]:
    """Return the listeners that serve the route, each once, as far as the objects tell."""
    found = {
        (attempt.listener.owner.ref, attempt.listener.name): attempt.listener
        for attempt in attempts(route, snapshot)
        if attempt.succeeds
    }
    return list(found.values())


def _failures(
    route: Resource, parent: ObjectRef, listener: Listener, snapshot: Snapshot
) -> Iterator[str]:
    if parent.section_name and parent.section_name != listener.name:
        yield f"sectionName: the parentRef wants {parent.section_name}"
    if parent.port is not None and parent.port != listener.port:
        yield f"port: the parentRef wants {parent.port}"
    if why := _kind_failure(route, listener):
        yield why
    if why := _namespace_failure(route, listener, snapshot):
        yield why
    if route.kind in WITH_HOSTNAMES and not hosts_on(route, listener):
        hostnames = ", ".join(hostnames_of(route))
        yield f"hostname: {hostnames} does not meet {listener.hostname}"


def _kind_failure(route: Resource, listener: Listener) -> str:
    suitable = ROUTE_KINDS_OF.get(listener.protocol, {route.kind.name})
    kinds = entries(listener.spec, "allowedRoutes", "kinds")
    allowed = {
        text(entry, "kind")
        for entry in kinds
        if isinstance(entry, dict) and (text(entry, "group") or GWAPI) == GWAPI
    }
    if kinds and route.kind.name not in allowed:
        return f"kind: allowedRoutes.kinds admits {', '.join(sorted(allowed)) or 'nothing'}"
    if route.kind.name not in suitable:
        return f"kind: protocol {listener.protocol} takes {' and '.join(sorted(suitable))}"
    return ""


def _namespace_failure(route: Resource, listener: Listener, snapshot: Snapshot) -> str:
    namespaces = section(listener.spec, "allowedRoutes", "namespaces")
    source = text(namespaces, "from") or "Same"
    if source == "All":
        return ""
    if source == "Same":
        if route.namespace == listener.owner.namespace:
            return ""
        return f"namespace: from Same admits {listener.owner.namespace} only"
    if source == "Selector":
        labels = namespace_labels(route.namespace, snapshot)
        if labels is None or selects(section(namespaces, "selector"), labels):
            return ""
        return f"namespace: the labels of {route.namespace} do not match the selector"
    return f"namespace: from {source} admits no route"


def namespace_labels(name: str, snapshot: Snapshot) -> Mapping[str, Any] | None:
    """Return the labels of a namespace, or None if they are not known."""
    namespace = snapshot.find(NAMESPACE, "", name)
    if namespace is not None:
        return {"kubernetes.io/metadata.name": name, **namespace.labels}
    # an unread or ungiven namespace may have any labels; one that does not exist has none
    known = snapshot.source.type is SourceType.CLUSTER and snapshot.knows(NAMESPACE)
    return {} if known else None


def selects(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Return whether a label selector (matchLabels, matchExpressions) takes these labels."""
    wanted = section(selector, "matchLabels")
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(entry, labels) for _, entry in items(selector, "matchExpressions"))


def _expression(entry: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, values = text(entry, "key"), entries(entry, "values")
    match text(entry, "operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


# ------------------------------------------------------------------ hostnames


def hostnames_of(route: Resource) -> list[str]:
    """Return the hostnames of a route in lower case; none means all."""
    return [host.lower() for host in entries(route.spec, "hostnames") if isinstance(host, str)]


def hosts_on(route: Resource, listener: Listener) -> list[str]:
    """Return the hosts that the route serves on the listener, `*` for all; empty if none meet."""
    hostnames = hostnames_of(route)
    if not hostnames:
        return [listener.hostname or "*"]
    if not listener.hostname:
        return hostnames
    met = (intersection(hostname, listener.hostname) for hostname in hostnames)
    return list(dict.fromkeys(host for host in met if host))


def intersection(one: str, other: str) -> str:
    """Return the narrower of two hostnames if they meet (`*.` covers any depth), else nothing."""
    if one == other:
        return one
    if covers(other, one):
        return one
    return other if covers(one, other) else ""


def covers(wide: str, narrow: str) -> bool:
    """Return whether a hostname with `*.` in front covers another one."""
    return wide.startswith("*.") and narrow != wide and narrow.endswith(wide[1:])
