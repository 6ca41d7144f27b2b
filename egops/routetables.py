"""The route tables that Envoy Gateway would make of HTTPRoutes and GRPCRoutes: matches and order.

Only what decides a match: no backends, filters or policies. Used to judge manifests as live tables
are judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, parent_refs, rules_of
from egops.listeners import attached_listeners, hostnames_of, hosts_on
from egops.snapshot import entries, items, section, text
from egops.xds.config_dump import (
    EgMetadata,
    EgResource,
    FilterMetadata,
    Metadata,
    Route,
    VirtualHost,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from egops.snapshot import Resource, Snapshot

KINDS = {"path": 3, "safe_regex": 2}


@dataclass
class _Row:
    """One route in the making, and what its place depends on."""

    order: tuple[Any, ...]
    age: tuple[Any, ...]
    route: Route


def tables(snapshot: Snapshot) -> list[tuple[str, VirtualHost]]:
    """Return the virtual hosts of each Gateway's listener, their routes in Envoy Gateway's order.

    Routes of a Gateway that was not given are put on a listener named after it.
    """
    found: dict[tuple[str, str], list[_Row]] = {}
    for kind in (HTTP_ROUTE, GRPC_ROUTE):
        for route in snapshot.all(kind):
            for listener, hosts in _places(route, snapshot):
                for host in hosts:
                    found.setdefault((listener, host), []).extend(_rows(route, host))
    return [
        (listener, VirtualHost(f"{listener}/{host.replace('.', '_')}", [host], _ordered(rows)))
        for (listener, host), rows in sorted(found.items())
    ]


def _places(route: Resource, snapshot: Snapshot) -> Iterator[tuple[str, list[str]]]:
    attached = attached_listeners(route, snapshot)
    for listener in attached:
        gateway = listener.gateway
        yield f"{gateway.namespace}/{gateway.name}/{listener.name}", hosts_on(route, listener)
    known = {listener.gateway.ref for listener in attached}
    for parent in parent_refs(route):
        ref = parent.ref
        if ref is not None and ref not in known and snapshot.get(ref) is None:
            where = f"{ref.namespace}/{ref.name}"
            yield where, hostnames_of(route) or ["*"]


def _ordered(rows: Iterable[_Row]) -> list[Route]:
    return [row.route for row in sorted(rows, key=lambda row: (row.order, row.age))]


def _rows(route: Resource, host: str) -> Iterator[_Row]:
    grpc = route.kind == GRPC_ROUTE
    created = text(route.metadata, "creationTimestamp") or "9999"
    for index, rule in rules_of(route):
        matches = entries(rule.body, "matches") or [{}]
        for number, match in enumerate(matches):
            if not isinstance(match, dict):
                continue
            place = number if entries(rule.body, "matches") or not grpc else -1
            made = _grpc(match) if grpc else _http(match)
            name = f"{route.kind.name.lower()}/{route.namespace}/{route.name}"
            full = f"{name}/rule/{index}/match/{place}/{host.replace('.', '_')}"
            age = (route.kind.name != "HTTPRoute", created, route.namespace, route.name)
            yield _Row(_order(made), (*age, index, number), _route(full, made, route, rule.body))


def _route(name: str, made: Mapping[str, Any], route: Resource, rule: Mapping[str, Any]) -> Route:
    made_by = EgResource(route.kind.name, route.namespace, route.name, text(rule, "name"))
    return Route(
        name=name,
        match=msgspec.Raw(msgspec.json.encode(made)),
        route=msgspec.Raw(b"{}"),
        metadata=Metadata(FilterMetadata(EgMetadata([made_by]))),
    )


def _order(made: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the sort key: the more specific stands first."""
    kind = next(iter(made), "prefix")
    value = made.get(kind, "")
    value = value.get("regex", "") if isinstance(value, dict) else value
    length = 0 if made.get("prefix") == "/" else len(value)
    headers, query = made.get("headers", []), made.get("query_parameters", [])
    return (
        -KINDS.get(kind, 1),
        -length,
        -len(headers),
        -sum(_is_exact(entry) for entry in headers),
        -len(query),
        -sum(_is_exact(entry) for entry in query),
    )


def _is_exact(entry: Mapping[str, Any]) -> bool:
    return "exact" in entry.get("string_match", {})


def _http(match: Mapping[str, Any]) -> dict[str, Any]:
    made = _path(section(match, "path"))
    headers = [_named(header) for _, header in items(match, "headers")]
    if method := text(match, "method"):
        headers.insert(0, {"name": ":method", "string_match": {"exact": method}})
    if headers:
        made["headers"] = headers
    if query := [_named(parameter) for _, parameter in items(match, "queryParams")]:
        made["query_parameters"] = query
    return made


def _path(path: Mapping[str, Any]) -> dict[str, Any]:
    kind, value = text(path, "type") or "PathPrefix", text(path, "value") or "/"
    if kind == "Exact":
        return {"path": value}
    if kind == "RegularExpression":
        return {"safe_regex": {"regex": value}}
    trimmed = value.rstrip("/")
    return {"path_separated_prefix": trimmed} if trimmed else {"prefix": "/"}


def _named(entry: Mapping[str, Any]) -> dict[str, Any]:
    value = text(entry, "value")
    regular = text(entry, "type") == "RegularExpression"
    matcher = {"safe_regex": {"regex": value}} if regular else {"exact": value}
    return {"name": text(entry, "name"), "string_match": matcher}


def _grpc(match: Mapping[str, Any]) -> dict[str, Any]:
    method = section(match, "method")
    service, call = text(method, "service"), text(method, "method")
    headers = [_named(header) for _, header in items(match, "headers")]
    if text(method, "type") == "RegularExpression":
        regex = f"/{service or '[^/]+'}/{call or '[^/]+'}"
        made: dict[str, Any] = {"safe_regex": {"regex": regex}}
    elif service and call:
        made = {"path": f"/{service}/{call}"}
    elif service:
        made = {"path_separated_prefix": f"/{service}"}
    else:
        made = {"prefix": "/"}
        if call:
            headers.insert(0, {"name": ":path", "string_match": {"suffix": f"/{call}"}})
    if headers:
        made["headers"] = headers
    return made
