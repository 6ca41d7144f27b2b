"""The routes that HTTPRoutes and GRPCRoutes become behind a listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egops.gatewayapi import GRPC_ROUTE, rules_of
from egops.routetables.actions import action_of, fails, read_rule
from egops.routetables.managers import filter_config, filters, in_time, policies_of
from egops.routetables.matches import grpc_match, http_match, order
from egops.snapshot import entries, text
from egops.xds.match_text import regex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.listeners import Listener
    from egops.routetables.actions import Rule
    from egops.routetables.generations import Generation
    from egops.snapshot import Resource, Snapshot


class Row(NamedTuple):
    """One route in the making."""

    host: str
    order: tuple[int, ...]
    route: dict[str, Any]
    filters: tuple[tuple[int, str, str], ...]
    unclear: str
    resource: Resource


def rows_of(
    route: Resource,
    hosts: list[str],
    port: int,
    listener: Listener | None,
    snapshot: Snapshot,
    generation: Generation,
) -> list[Row]:
    """Return the routes that an object becomes on a listener."""
    found: list[Row] = []
    for index, entry in rules_of(route):
        rule = read_rule(entry, snapshot)
        fault = fails(rule, generation, snapshot)
        policies = policies_of(route, text(entry.body, "name"), listener, snapshot)
        acting = tuple(filters(policies))
        matches = list(_matches(route, rule, generation))
        if any(not _regexes_are_valid(made) for _, made, _ in matches):
            if generation.since < (1, 4, 0):
                return []  # the object is refused as a whole
            continue
        for place, made, written in matches:
            prefix = written if "path_separated_prefix" in made or made.get("prefix") else ""
            action = action_of(rule, prefix, port, generation)
            if fault:
                action = {"direct_response": {"status": 500}}
            in_time(action, next((p for k, p in policies.items() if k.name[0] == "B"), None))
            base = f"{route.kind.name.lower()}/{route.namespace}/{route.name}"
            body = {
                "match": made,
                **action,
                "metadata": metadata(route, text(entry.body, "name")),
                "typed_per_filter_config": {
                    name: filter_config(message, name) for _, name, message in acting
                },
            }
            for host in hosts:
                name = f"{base}/rule/{index}/match/{place}/{host.replace('.', '_')}"
                key = order(made, written, generation)
                found.append(Row(host, key, {"name": name, **body}, acting, rule.unclear, route))
    return found


def _matches(
    route: Resource, rule: Rule, generation: Generation
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield number, match and written path of each route of a rule."""
    grpc = route.kind == GRPC_ROUTE
    written = [match for match in entries(rule.entry.body, "matches") if isinstance(match, dict)]
    build = grpc_match if grpc else http_match
    cookies: list[Mapping[str, Any]] = [{}]
    if generation.cookies and rule.cookies:
        cookies = rule.cookies
    if not written and (grpc or cookies == [{}]):
        # the API fills in a match for an HTTPRoute, so it is never without one
        start = -1 if grpc else 0
        default: dict[str, Any] = {} if grpc else {"path": {"type": "PathPrefix", "value": "/"}}
        yield start, *build(default, cookies[0])
        return
    combined = [(match, more) for match in written or [{}] for more in cookies]
    for place, (match, more) in enumerate(combined):
        if not grpc and "path" not in match:  # as above
            match = {"path": {"type": "PathPrefix", "value": "/"}, **match}
        yield place, *build(match, more)


def _regexes_are_valid(made: Mapping[str, Any]) -> bool:
    found = [made.get("safe_regex")]
    for key in ("headers", "query_parameters", "cookies"):
        found += [entry["string_match"].get("safe_regex") for entry in made.get(key, [])]
    return all(regex(entry["regex"]) is not None for entry in found if entry)


def metadata(resource: Resource, section_name: str) -> dict[str, Any]:
    """Return Envoy Gateway's metadata for an object."""
    made = {"kind": resource.kind.name, "namespace": resource.namespace, "name": resource.name}
    if section_name:
        made["sectionName"] = section_name
    return {"filter_metadata": {"envoy-gateway": {"resources": [made]}}}
