"""Matches of HTTPRoutes and GRPCRoutes as Envoy's, and the order that Envoy Gateway gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.routetables.generations import Generation

Match = dict[str, Any]

KINDS = {"path": 3, "safe_regex": 2}
ANY_SERVICE = r"(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*"
ANY_METHOD = "[A-Za-z_][A-Za-z_0-9]*"


def order(made: Match, written: str, generation: Generation) -> tuple[int, ...]:
    """Return the sort key: the more specific stands first. `written` is the path of the object."""
    kind = next((kind for kind in KINDS if kind in made), "prefix")
    lists = [made.get(key, []) for key in ("headers", "cookies", "query_parameters")]
    if not generation.cookies:
        del lists[1]
    root = made.get("prefix") == "/" and not generation.root_counts
    key = [-KINDS.get(kind, 1), 0 if root else -len(written.encode("utf-8"))]
    for entries in lists:
        key.append(-len(entries))
        if generation.exact_matches_first:
            key.append(-sum("exact" in entry.get("string_match", {}) for entry in entries))
    return tuple(key)


def http_match(match: Mapping[str, Any], cookies: Mapping[str, Any]) -> tuple[Match, str]:
    """Return an HTTPRoute's match, with the cookies of an HTTPRouteFilter, and its path."""
    path = section(match, "path")
    written = text(path, "value") if path else ""
    made: Match = _path(path) if path else {"prefix": "/"}
    headers = [_named(header) for _, header in items(match, "headers")]
    if method := text(match, "method"):
        headers.append({"name": ":method", "string_match": {"exact": method}})
    _fill(made, headers, cookies)
    if query := [_named(parameter) for _, parameter in items(match, "queryParams")]:
        made["query_parameters"] = query
    return made, written


def _fill(made: Match, headers: list[Any], cookies: Mapping[str, Any]) -> None:
    if headers:
        made["headers"] = headers
    if named := [_named(cookie) for _, cookie in items(cookies, "cookies")]:
        made["cookies"] = named


def _path(path: Mapping[str, Any]) -> Match:
    kind, value = text(path, "type") or "PathPrefix", text(path, "value") or "/"
    if kind == "Exact":
        return {"path": value}
    if kind == "RegularExpression":
        return {"safe_regex": {"regex": value}}
    return {"prefix": "/"} if value == "/" else {"path_separated_prefix": value.removesuffix("/")}


def _named(entry: Mapping[str, Any]) -> Match:
    value = text(entry, "value")
    regular = text(entry, "type") == "RegularExpression"
    matcher = {"safe_regex": {"regex": value}} if regular else {"exact": value}
    return {"name": text(entry, "name"), "string_match": matcher}


def grpc_match(match: Mapping[str, Any], cookies: Mapping[str, Any]) -> tuple[Match, str]:
    """Return a GRPCRoute's match, with the cookies of an HTTPRouteFilter, and its path."""
    method = section(match, "method")
    service, call = text(method, "service"), text(method, "method")
    headers = [_named(header) for _, header in items(match, "headers")]
    made: Match = {"prefix": "/"}
    written = ""
    if not (service or call):
        pass
    elif text(method, "type") == "RegularExpression":
        written = f"/{service or ANY_SERVICE}/{call or ANY_METHOD}"
        made = {"safe_regex": {"regex": written}}
    elif service and call:
        written = f"/{service}/{call}"
        made = {"path": written}
    elif service:
        written = f"/{service}"
        made = {"path_separated_prefix": written}
    else:
        headers.append({"name": ":path", "string_match": {"suffix": f"/{call}"}})
    _fill(made, headers, cookies)
    return made, written
