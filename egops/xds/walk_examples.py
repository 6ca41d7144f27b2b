"""For each route of a dump a request that takes it, verified by walking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.xds.match_example import authority_of, sketches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.xds.match_request import Request
    from egops.xds.match_table import Compiled, Host, Table
    from egops.xds.walk import Verdict, Walker, Way


class Spot(NamedTuple):
    """A virtual host where it is served: listener and chain lead to its table."""

    way: Way
    table: Table
    host: Host


def ordered_spots(walker: Walker) -> Iterator[Spot]:
    """Yield the virtual hosts whose routes are tried in order: those without a matcher tree."""
    return (spot for spot in spots(walker) if not spot.host.virtual_host.matcher)


def spots(walker: Walker) -> Iterator[Spot]:
    """Yield every virtual host of every HTTP chain, in the order of the dump."""
    for listener in walker.http_listeners:
        for chain in listener.chains:
            way = walker.way(listener, chain)
            if way.manager is None or way.table is None:
                continue
            for host in way.table.hosts:
                yield Spot(way, way.table, host)


def requests(spot: Spot, routes: Sequence[Compiled]) -> Iterator[Request]:
    """Yield requests that may fulfil the matches of all these routes of a virtual host at once."""
    scheme = "https" if spot.way.tls else "http"
    listener = spot.way.listener.name
    for domain in spot.host.virtual_host.domains[:3]:
        for sketch in sketches([route.spec for route in routes], domain):
            if not sketch.authority:
                sketch.authority = authority_of(domain)
            yield sketch.request(scheme=scheme, listener=listener)


def example(walker: Walker, spot: Spot, route: Compiled) -> tuple[Request, Verdict] | None:
    """Return a request that takes a route, with its verdict; None if none was found."""
    for request in requests(spot, [route]):
        verdict = walker.judge(request)
        if verdict.route is not None and verdict.route.route is route.route:
            return request, verdict
    return None
