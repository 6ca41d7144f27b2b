"""The routes that a request did not take, and the first condition that kept it from each."""

from __future__ import annotations

from bisect import bisect_left
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from egops.xds.match_request import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.match_predicates import Check
    from egops.xds.match_request import Seen
    from egops.xds.match_table import Compiled, Host, Table
    from egops.xds.walk import Verdict

SMALL = 64  # routes of a virtual host that are all worth a look


class Miss(NamedTuple):
    """A route and the condition that failed."""

    route: Compiled
    check: Check


def near_misses(verdict: Verdict, limit: int) -> tuple[list[Miss], int]:
    """Return the routes looked at in vain before the answer, and how many were left off.

    In a big virtual host only those are told whose path fits, and those with a similar path.
    """
    host, seen = verdict.host, verdict.seen
    if host is None or seen is None or host.virtual_host.matcher:
        return [], 0
    end = verdict.route.index if verdict.route is not None else len(host.virtual_host.routes)
    found: dict[int, Miss] = {}
    for route in _worth_a_look(host, seen, end, limit):
        if route.index < end and (check := route.first_failure(seen)) is not None:
            found.setdefault(route.index, Miss(route, check))
    fits = sorted(
        found.values(), key=lambda miss: (miss.check is miss.route.path, -miss.route.index)
    )
    kept = sorted(fits[:limit], key=lambda miss: miss.route.index)
    return kept, max(0, end - len(kept) - len(verdict.maybe))


def _worth_a_look(host: Host, seen: Seen, end: int, limit: int) -> Iterator[Compiled]:
    index = host.index
    if end <= SMALL:
        yield from index.compiled[:end]
        return
    for count, route in enumerate(index.candidates(seen)):
        if route.index >= end or count >= 4 * limit:
            break
        yield route
    for at in _similar(host, decode(seen.bare), limit):
        yield index.compiled[at]


def _similar(host: Host, path: str, limit: int) -> Iterator[int]:
    """Yield the places of routes whose path sorts next to this one."""
    ordered = host.index.by_path
    at = bisect_left(ordered, (path, 0))
    for value, place in ordered[max(0, at - limit) : at + limit]:
        if value:
            yield place


def known_hosts(table: Table, limit: int = 20) -> list[str]:
    """Return the domains that a table serves, in order."""
    domains = [domain for entry in table.config.virtual_hosts for domain in entry.domains]
    return domains[:limit]


def similar_hosts(table: Table, authority: bytes) -> list[str]:
    """Return the domains that look like the one asked for."""
    domains = [domain for entry in table.config.virtual_hosts for domain in entry.domains]
    return get_close_matches(decode(table.host_name(authority)), domains, n=3, cutoff=0.6)


def similar_paths(host: Host, seen: Seen) -> list[str]:
    """Return the paths of a virtual host that look like the one asked for."""
    path = decode(seen.bare)
    ordered = host.index.by_path
    if len(ordered) > 4 * SMALL:
        at = bisect_left(ordered, (path, 0))
        ordered = ordered[max(0, at - SMALL) : at + SMALL]
    values = list(dict.fromkeys(value for value, _ in ordered if value))
    return get_close_matches(path, values, n=3, cutoff=0.6)
