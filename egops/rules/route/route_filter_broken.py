"""EGD-245 route-filter-broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import extension_kinds
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    CONFIG_MAP,
    EG,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    HTTP_ROUTE_FILTER,
    OURS,
    SECRET,
    Entry,
    conditions,
    is_young,
    our_parents,
    our_routes,
    rules_of,
    running_version,
)
from egops.rules import rule
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-245",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY, HTTP_ROUTE_FILTER),
    optional=(*OURS, GRPC_ROUTE, CONFIG_MAP, SECRET),
    since="0.1",
    ok="every extension filter of a route exists and can be applied",
)
def route_filter_broken(snapshot: Snapshot) -> Iterator[Problem]:
    """A route's `ExtensionRef` filter does not exist in its namespace, or cannot be applied.

    ## Why it matters
    Before Envoy Gateway 1.7 one missing filter takes every rule of the route away: all its
    requests get a 404. From 1.7 on the rule that names the filter answers 500.

    ## How to fix it
    Create the HTTPRouteFilter in the route's namespace (there is no namespace in the reference),
    create the ConfigMap or Secret that it names, or correct the name, kind or group.
    """
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(route):
            for path, ref in _extension_refs(entry):
                if fault := _fault(route, ref, snapshot):
                    yield Problem(
                        route.at(*path, "name"),
                        fault,
                        why=_effect(snapshot),
                        remedy=(
                            f"create or correct HTTPRouteFilter {route.namespace}/"
                            f"{text(ref, 'name')}, or remove the filter from the rule",
                        ),
                        settled=not is_young(route, snapshot),
                        explains=("EGD-240", "EGD-241", "EGD-446", "EGD-501"),
                        explains_refs=(str(route.ref),),
                    )


def _extension_refs(rule_entry: Entry) -> Iterator[tuple[tuple[str | int, ...], dict[str, object]]]:
    places = [(rule_entry.path, rule_entry.body)]
    places += [
        ((*rule_entry.path, "backendRefs", index), body)
        for index, body in items(rule_entry.body, "backendRefs")
    ]
    for path, body in places:
        for index, entry in items(body, "filters"):
            ref = section(entry, "extensionRef")
            if text(entry, "type") == "ExtensionRef" and text(ref, "name"):
                yield (*path, "filters", index, "extensionRef"), dict(ref)


def _fault(route: Resource, ref: dict[str, object], snapshot: Snapshot) -> str:
    group, kind, name = text(ref, "group"), text(ref, "kind"), text(ref, "name")
    if (group, kind) != (EG, HTTP_ROUTE_FILTER.name):
        if (group, kind) in extension_kinds(snapshot) or _is_taken(route, snapshot):
            return ""
        return f"{kind} of group {group or 'core'} is no filter that Envoy Gateway knows"
    found = snapshot.find(HTTP_ROUTE_FILTER, route.namespace, name)
    if found is None:
        if not snapshot.knows(HTTP_ROUTE_FILTER):
            return ""
        return f"HTTPRouteFilter {route.namespace}/{name} does not exist"
    return _content_fault(found, snapshot)


def _is_taken(route: Resource, snapshot: Snapshot) -> bool:
    """Return whether the status has nothing against the route: its extension server is unseen."""
    parents = our_parents(route, snapshot)
    return bool(parents) and not any(c.is_false for p in parents for c in conditions(p.body))


def _content_fault(found: Resource, snapshot: Snapshot) -> str:
    """Return what a filter names that is not there."""
    named = (
        (CONFIG_MAP, section(found.spec, "directResponse", "body", "valueRef")),
        (SECRET, section(found.spec, "credentialInjection", "credential", "valueRef")),
    )
    for kind, ref in named:
        name = text(ref, "name")
        if not name or (text(ref, "kind") or kind.name) != kind.name:
            continue
        if snapshot.knows(kind) and snapshot.find(kind, found.namespace, name) is None:
            return f"{found.ref} needs {kind} {found.namespace}/{name}, which does not exist"
    return ""


def _effect(snapshot: Snapshot) -> str:
    version = running_version(snapshot)
    if version and version < (1, 7):
        return "before Envoy Gateway 1.7 no rule of the route is served: 404"
    return "requests of the rule are answered with a 500"
