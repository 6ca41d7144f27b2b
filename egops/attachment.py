"""What a Gateway says of the routes that name it: status entries joined with their parentRefs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import (
    GWAPI,
    HTTP_ROUTE,
    Entry,
    ObjectRef,
    condition,
    object_ref,
    our_parents,
    our_routes,
    parent_refs,
    per_snapshot,
)
from egops.listeners import Listener, parent_attempts
from egops.snapshot import Probe, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Ref, Resource, Snapshot


def reported_parents(route: Resource, snapshot: Snapshot) -> list[tuple[ObjectRef, Entry]]:
    """Return each parentRef of the route with the status entry that our controller wrote for it.

    An entry whose parentRef is no longer in the spec is left out: it is about to go.
    """
    key = ("reported_parents", route.ref)
    if key not in snapshot.derived:
        snapshot.derived[key] = list(_reported_parents(route, snapshot))
    found: list[tuple[ObjectRef, Entry]] = snapshot.derived[key]
    return found


def _reported_parents(route: Resource, snapshot: Snapshot) -> Iterator[tuple[ObjectRef, Entry]]:
    wanted = {_key(parent): parent for parent in parent_refs(route)}
    for entry in our_parents(route, snapshot):
        body = section(entry.body, "parentRef")
        parent = object_ref(
            Entry(route, (*entry.path, "parentRef"), body), group=GWAPI, kind="Gateway"
        )
        if found := wanted.get(_key(parent)):
            yield found, entry


def _key(parent: ObjectRef) -> tuple[object, ...]:
    return (
        parent.group, parent.kind_name, parent.namespace, parent.name, parent.section_name,
        parent.port,
    )  # fmt: skip


def is_accepted(route: Resource, snapshot: Snapshot) -> bool:
    """Return whether at least one parent of ours accepts the route, or none has spoken yet."""
    entries = our_parents(route, snapshot)
    if not entries:
        return True
    found = [condition(entry.body, "Accepted") for entry in entries]
    return any(accepted is None or not accepted.is_false for accepted in found)


def serving_listeners(route: Resource, snapshot: Snapshot) -> list[Listener]:
    """Return the listeners that serve the route: it may attach, and its parent did not refuse."""
    key = ("serving_listeners", route.ref)
    if key not in snapshot.derived:
        snapshot.derived[key] = _serving_listeners(route, snapshot)
    kept: list[Listener] = snapshot.derived[key]
    return kept


def _serving_listeners(route: Resource, snapshot: Snapshot) -> list[Listener]:
    refused = {
        parent.entry.path
        for parent, entry in reported_parents(route, snapshot)
        if (accepted := condition(entry.body, "Accepted")) and accepted.is_false
    }
    found: dict[tuple[object, str], Listener] = {}
    for parent in parent_refs(route):
        if parent.entry.path not in refused:
            for attempt in parent_attempts(route, parent, snapshot):
                if attempt.succeeds:
                    listener = attempt.listener
                    found[listener.owner.ref, listener.name] = listener
    return list(found.values())


@per_snapshot
def _not_ready(snapshot: Snapshot) -> dict[Ref, list[tuple[Resource, str]]]:
    """Return the routes refused for want of a ready listener, by parent, with the section."""
    found: dict[Ref, list[tuple[Resource, str]]] = {}
    for route in our_routes(snapshot):
        for parent, entry in reported_parents(route, snapshot):
            accepted = condition(entry.body, "Accepted")
            if parent.ref and accepted and accepted.reason == "NoReadyListeners":
                found.setdefault(parent.ref, []).append((route, parent.section_name))
    return found


def routes_refused_by(listener: Listener, snapshot: Snapshot) -> list[str]:
    """Return the routes that are refused because this listener is not ready (before 1.9)."""
    refused = _not_ready(snapshot).get(listener.owner.ref, [])
    return [str(route.ref) for route, name in refused if name in ("", listener.name)]


@per_snapshot
def _named_in_proxies(snapshot: Snapshot) -> dict[tuple[str, str, str], list[str]]:
    """Return the proxies whose configuration names a route object, by kind, namespace, name."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for proxy in snapshot.proxies:
        if not proxy.has(Probe.CONFIG_DUMP):
            continue
        named = {
            (made_by.kind or HTTP_ROUTE.name, made_by.namespace, made_by.name)
            for entry in proxy.config.route_configs
            for host in entry.route_config.virtual_hosts
            for xds_route in host.routes
            if (made_by := xds_route.metadata.resource) is not None
        }
        for key in named:
            found.setdefault(key, []).append(proxy.name)
    return found


def proxies_serving(route: Resource, snapshot: Snapshot) -> list[str]:
    """Return the proxies that have xDS routes of an HTTPRoute or GRPCRoute."""
    key = (route.kind.name, route.namespace, route.name)
    return _named_in_proxies(snapshot).get(key, [])
