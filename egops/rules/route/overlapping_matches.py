"""EGD-246 overlapping-matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops import conditions
from egops.attachment import serving_listeners
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    NAMESPACE,
    OURS,
    Entry,
    condition,
    is_young,
    our_parents,
    our_routes,
    rules_of,
)
from egops.listeners import Listener, hosts_on
from egops.rules import rule
from egops.snapshot import entries, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot

Key = tuple[object, ...]


class Use(NamedTuple):
    """One match of one route, and where it is served."""

    route: Resource
    match: Entry
    rule_index: int
    listener: Listener
    host: str


@rule(
    code="EGD-246",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, NAMESPACE),
    since="0.1",
    ok="no two routes of a listener match the same requests",
)
def overlapping_matches(snapshot: Snapshot) -> Iterator[Problem]:
    """Two routes of one listener match exactly the same requests.

    ## Why it matters
    Only one of them is used: the route that was created first, then the first by namespace and
    name. The other one is accepted and gets no traffic, and nothing but Envoy Gateway 1.9's
    `RouteRulesOverlap` says so. Host, path, method, headers and query are compared.

    ## How to fix it
    Merge the two routes, or make their matches distinct. The status of both stays `Accepted=True`
    by design.
    """
    seen: dict[Key, Use] = {}
    told: set[tuple[object, ...]] = set()
    for route in sorted(our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE), key=_age):
        for key, use in _uses(route, snapshot):
            first = seen.setdefault(key, use)
            if first is use or (first.route is route and first.rule_index == use.rule_index):
                continue
            pair = (first.route.ref, use.route.ref, use.match.path)
            if pair not in told:
                told.add(pair)
                yield _problem(first, use, snapshot)
    named = {ref for pair in told for ref in pair[:2]}
    yield from _reported(named, snapshot)


def _age(route: Resource) -> tuple[str, str, str]:
    return (text(route.metadata, "creationTimestamp"), route.namespace, route.name)


def _uses(route: Resource, snapshot: Snapshot) -> Iterator[tuple[Key, Use]]:
    places = [
        (listener, host)
        for listener in serving_listeners(route, snapshot)
        for host in hosts_on(route, listener)
    ]
    for index, entry in rules_of(route):
        for match, key in _matches(entry):
            for listener, host in places:
                # listeners are kept with the snapshot, and quick to compare by identity
                place = (id(listener), host, route.kind.name, *key)
                yield place, Use(route, match, index, listener, host)


def _matches(rule_entry: Entry) -> Iterator[tuple[Entry, Key]]:
    found = list(items(rule_entry.body, "matches"))
    if not found:
        yield rule_entry, _key({})
    for index, body in found:
        entry = Entry(rule_entry.resource, (*rule_entry.path, "matches", index), body)
        yield entry, _key(body)


def _key(match: Mapping[str, Any]) -> Key:
    path = match.get("path")
    kind, value = text(path, "type") or "PathPrefix", text(path, "value") or "/"
    if kind == "PathPrefix":
        value = value.rstrip("/") or "/"
    method = match.get("method")
    if isinstance(method, dict):  # a GRPCRoute's
        method = (
            text(method, "type") or "Exact", text(method, "service"), text(method, "method"),
        )  # fmt: skip
    return (
        kind,
        value,
        method if isinstance(method, (str, tuple)) else "",
        _values(match, "headers", lower=True),
        _values(match, "queryParams", lower=False),
    )


def _values(match: Mapping[str, Any], field: str, *, lower: bool) -> Key:
    found = {
        (
            text(entry, "name").lower() if lower else text(entry, "name"),
            text(entry, "type") or "Exact",
            text(entry, "value"),
        )
        for _, entry in items(match, field)
    }
    return tuple(sorted(found))


def _problem(first: Use, second: Use, snapshot: Snapshot) -> Problem:
    same = first.route is second.route
    winner = f"rule {first.rule_index} of this route" if same else str(first.route.ref)
    created = [
        f"{use.route.ref}: created {text(use.route.metadata, 'creationTimestamp') or 'unknown'}"
        for use in (first, second)
    ]
    return Problem(
        second.match.at(),
        f"{winner} takes all requests of this match on host {second.host}",
        evidence=(
            f"listener {second.listener}, host {second.host}, {_told(second.match.body)}",
            *(() if same else created),
        ),
        why="the rule that comes first wins"
        if same
        else "the older route wins, then the first by namespace and name",
        remedy=(
            f"merge it with {winner}, or make the two matches distinct",
            "remove the match that is not wanted",
        ),
        settled=not is_young(second.route, snapshot),
        related=(first.match.at(),),
    )


def _told(match: Mapping[str, Any]) -> str:
    path = match.get("path")
    parts = [f"{text(path, 'type') or 'PathPrefix'} {text(path, 'value') or '/'}"]
    method = match.get("method")
    if isinstance(method, str):
        parts.append(f"method {method}")
    if isinstance(method, dict):
        parts = [f"{text(method, 'service') or '*'}/{text(method, 'method') or '*'}"]
    for field in ("headers", "queryParams"):
        names = [text(entry, "name") for entry in entries(match, field)]
        if names:
            parts.append(f"{field} {', '.join(names)}")
    return ", ".join(parts)


def _reported(named: set[object], snapshot: Snapshot) -> Iterator[Problem]:
    """Yield what Envoy Gateway reports (1.9 on) and was not found here."""
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        if route.ref in named:
            continue
        for parent in our_parents(route, snapshot):
            found = condition(parent.body, "RouteRulesOverlap")
            if found and found.is_true and found.is_fresh(route):
                yield Problem(
                    route.at("spec", "rules"),
                    "matches the same requests as another route",
                    evidence=(conditions.told(found),),
                    why=found.message,
                    remedy=("merge the routes that the condition names, or tell them apart",),
                    settled=found.has_settled(route, snapshot),
                )
                break
