"""Which requests change their fate between two dumps, each change with a request that shows it.

Requests are made from the matches of both sides and walked through both. Virtual hosts that are
equal on both sides, under equal settings, are passed by.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from egops.errors import InputError
from egops.xds.actions import action_of
from egops.xds.config_dump import plain
from egops.xds.match_request import Request, decode
from egops.xds.owners import Source, cluster_name_owner, route_source
from egops.xds.walk_action import upstream_host, upstream_path
from egops.xds.walk_effects import filter_steps
from egops.xds.walk_examples import requests, spots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.walk import Verdict, Walker
    from egops.xds.walk_effects import Step
    from egops.xds.walk_examples import Spot

EACH = 4  # requests made from one route's match


class Fate(NamedTuple):
    """What becomes of a request, as far as its client or its operator can tell."""

    outcome: str
    rule: str = ""  # `HTTPRoute/shop/cart/0`, or the route's name if nothing owns it
    status: int | None = None
    location: str | None = None
    backends: tuple[str, ...] = ()
    path: str = ""
    host: str = ""
    filters: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in one line."""
        if self.outcome in ("route", "direct_response") and self.rule:
            status = f" ({self.status})" if self.status is not None else ""
            return f"{self.rule}{status}"
        where = f" to {self.location}" if self.location else ""
        status = f" {self.status}" if self.status is not None else ""
        return f"{self.outcome}{status}{where}"


class Change(NamedTuple):
    """A change, the first request that shows it, and how many requests did."""

    old: Fate
    new: Fate
    request: Request
    times: int

    @property
    def what(self) -> list[str]:
        """Return the fields that differ."""
        return [name for name in Fate._fields if getattr(self.old, name) != getattr(self.new, name)]


def changes(old: Walker, new: Walker) -> list[Change]:
    """Return what changes, in the order in which the tables show it."""
    found: dict[Any, list[Any]] = {}
    for request in probes(old, new):
        before, after = fate(old, request), fate(new, request)
        if before != after and not _is_renamed(before, after):
            change = Change(before, after, request, 1)
            entry = found.setdefault(_alike(change), [change, 0])
            entry[1] += 1
    return [change._replace(times=count) for change, count in found.values()]


def _is_renamed(old: Fate, new: Fate) -> bool:
    """Return whether only names of clusters differ: releases cut rules into them differently."""
    if old._replace(backends=()) != new._replace(backends=()):
        return False
    names = [{text.rpartition(" ")[0] for text in one.backends} for one in (old, new)]
    return not names[0] & names[1] and _shares(old) == _shares(new)


def _shares(found: Fate) -> dict[str, int]:
    """Return the percentage of requests by the owner of the clusters."""
    shares: dict[str, int] = {}
    for text in found.backends:
        name, _, share = text.rpartition(" ")
        owner = str(cluster_name_owner(name) or name)
        shares[owner] = shares.get(owner, 0) + int(share.strip("()%") or 0)
    return shares


def _alike(change: Change) -> Any:
    """Return what is the same for requests that change alike, whatever their paths are."""
    old, new = (one._replace(path="", host="", location=None) for one in (change.old, change.new))
    return old, new, tuple(change.what)


def probes(old: Walker, new: Walker) -> Iterator[Request]:
    """Yield requests aimed at all that may differ, each once."""
    told: set[Request] = set()
    mine, theirs = _by_place(old), _by_place(new)
    for place in dict.fromkeys((*mine, *theirs)):
        before, after = mine.get(place), theirs.get(place)
        if before and after and _print(before[1]) == _print(after[1]):
            continue
        for walker, spot in filter(None, (before, after)):
            for request in _aimed(walker, spot):
                if request not in told:
                    told.add(request)
                    yield request


Place = tuple[int, bool, tuple[str, ...]]


def _by_place(walker: Walker) -> dict[Place, tuple[Walker, Spot]]:
    """Return the virtual hosts by port, TLS and domains: names may change between releases."""
    found: dict[Place, tuple[Walker, Spot]] = {}
    for spot in spots(walker):
        domains = tuple(spot.host.virtual_host.domains)
        found.setdefault((spot.way.listener.port, spot.way.tls, domains), (walker, spot))
    return found


def _print(spot: Spot) -> bytes:
    """Return what decides about the requests of a virtual host."""
    assert spot.way.manager is not None
    settings = msgspec.structs.replace(spot.way.manager, route_config=None)
    table = msgspec.structs.replace(spot.table.config, virtual_hosts=[])
    parts: list[Any] = [spot.host.virtual_host, table, spot.way.walker.how[2:]]
    parts += [settings.http_filters, settings.path_with_escaped_slashes_action]
    parts += [settings.normalize_path, settings.merge_slashes, settings.strip_any_host_port]
    parts.append(settings.common_http_protocol_options)
    return repr([_comparable(part) for part in parts]).encode()


def _comparable(part: Any) -> Any:
    if isinstance(part, list):
        return [_comparable(entry) for entry in part]
    if isinstance(part, msgspec.Struct):
        return [_comparable(getattr(part, name)) for name in part.__struct_fields__]
    return bytes(part) if isinstance(part, msgspec.Raw) else part


def _aimed(walker: Walker, spot: Spot) -> Iterator[Request]:
    port = spot.way.listener.port
    routes = spot.host.index.compiled
    for route in routes:
        made = requests(spot, [route])
        for request, _ in zip(made, range(EACH), strict=False):
            yield dataclasses.replace(request, listener="", port=port)
    first = next(iter(requests(spot, routes[:1])), None) if routes else None
    if first is None:
        return
    # what no match asks for but the settings of the listener decide
    base = dataclasses.replace(first, listener="", port=port, headers=())
    for target in (b"/egops-probe", b"/a%2Fb", b"//a", b"/a/../b", b"/..;/a"):
        yield dataclasses.replace(base, target=target)
    yield dataclasses.replace(base, headers=((b"a_b", b"1"),))
    yield dataclasses.replace(base, authority=(base.authority or b"") + b".")
    del walker


def fate(walker: Walker, request: Request) -> Fate:
    """Return what becomes of a request."""
    try:
        verdict = walker.judge(request)
    except InputError:
        return Fate("no listener")
    if verdict.outcome == "unknown":
        return Fate("unknown", ", ".join(route.route.name for route in verdict.maybe))
    made = Fate(verdict.outcome, _rule(verdict), verdict.status, verdict.location)
    route, seen = verdict.route, verdict.seen
    if route is None or seen is None or verdict.way is None or verdict.way.manager is None:
        return made
    filters = tuple(map(_filter, filter_steps(verdict.way.manager, route)))
    if verdict.outcome != "route" or not route.route.route:
        return made._replace(filters=filters)
    action = plain(route.route.route)
    host = upstream_host(action, seen)
    return made._replace(
        backends=tuple(
            f"{target.name} ({target.share:.0%})" for target in action_of(route.route).clusters
        ),
        path=decode(upstream_path(route, action, seen)),
        host="the endpoint's name" if host is None else decode(host),
        filters=filters,
    )


def _filter(step: Step) -> str:
    """Return what a filter does; which release names its policy is no change."""
    policy = step.get("policy")
    text = str(step["text"])
    if policy is None:
        return text
    return text.replace(f" from {policy['kind']} {policy['namespace']}/{policy['name']}", "")


def _rule(verdict: Verdict) -> str:
    if verdict.route is None or verdict.host is None:
        return ""
    made_by = route_source(verdict.route.route, verdict.host.virtual_host)
    return str(made_by) if isinstance(made_by, Source) else verdict.route.route.name
