"""EGD-260 route-never-reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.errors import InputError
from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE
from egops.proxies import fleets, location_of
from egops.rules import rule
from egops.snapshot import Location, Probe, Ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy, Snapshot
    from egops.xds.owners import Source
    from egops.xds.shadow import Shadow

KINDS = {"HTTPRoute": HTTP_ROUTE, "GRPCRoute": GRPC_ROUTE}


@rule(
    code="EGD-260",
    severity=Severity.WARNING,
    optional=(HTTP_ROUTE, GRPC_ROUTE),
    probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="some request reaches every route that Envoy has",
)
def route_never_reached(snapshot: Snapshot) -> Iterator[Problem]:
    """No request can reach a route: earlier ones take all that it asks for.

    ## Why it matters
    The route is accepted and programmed, and everything reports it as well; its backend just gets
    no traffic. Only what is proven is told: an earlier route takes every path and asks for no more,
    or the route's own conditions can never be met.

    ## How to fix it
    `egops routes shadowed` shows who wins and the rule of precedence that decides. Make the match
    more specific than the winner's, or remove it. Exactly equal matches of two routes are EGD-246.
    """
    seen: set[tuple[object, ...]] = set()
    for fleet in fleets(snapshot.proxies):
        proxy = next((one for one in fleet.proxies if one.has(Probe.CONFIG_DUMP)), None)
        if proxy is None:
            continue
        for shadow, source, winner in _dead(proxy, equal=not snapshot.knows(HTTP_ROUTE)):
            key = (source.kind, source.namespace, source.name, source.rule, source.match)
            if key not in seen:
                seen.add(key)
                yield _problem(snapshot, proxy, shadow, source, winner)


def _dead(proxy: Proxy, *, equal: bool) -> Iterator[tuple[Shadow, Source, Source | None]]:
    """Yield what no request of a proxy can reach, with the rule it comes from and who wins."""
    # the matcher compiles regular expressions with RE2, which is slow to load
    from egops.xds.owners import Source, route_source  # noqa: PLC0415 - as above
    from egops.xds.shadow import shadows  # noqa: PLC0415 - as above
    from egops.xds.walk import Walker  # noqa: PLC0415 - as above
    from egops.xds.walk_examples import ordered_spots  # noqa: PLC0415 - as above

    kinds = ("never", "unreachable", "equal") if equal else ("never", "unreachable")
    try:
        walker = Walker(proxy.config)
    except InputError:  # no listener yet: nothing is reached, and other rules say so
        return
    for spot in ordered_spots(walker):
        host = spot.host.virtual_host
        for shadow in shadows(spot.host.index.compiled, spot.way.manager, walker.how):
            source = route_source(shadow.loser.route, host)
            if shadow.kind not in kinds or not isinstance(source, Source):
                continue
            winner = route_source(shadow.winner.route, host) if shadow.winner else None
            yield shadow, source, winner if isinstance(winner, Source) else None


def _problem(
    snapshot: Snapshot, proxy: Proxy, shadow: Shadow, source: Source, winner: Source | None
) -> Problem:
    loser = f"rule {source.rule} match {source.match}"
    if winner is None:
        message = f"no request can meet the conditions of {loser}"
    else:
        whose = f"{winner.kind} {winner.namespace}/{winner.name} rule {winner.rule}"
        message = f"{whose} takes every request of {loser}"
    return Problem(
        _place(snapshot, proxy, source),
        message,
        why=shadow.because,
        evidence=(f"Envoy route {shadow.loser.route.name}",),
        remedy=("see the order and an example: egops routes shadowed",),
    )


def _place(snapshot: Snapshot, proxy: Proxy, source: Source) -> Location:
    kind = KINDS.get(source.kind)
    if kind is None:
        return location_of(proxy)
    resource = snapshot.find(kind, source.namespace, source.name)
    if resource is None:
        return Location(Ref(kind, source.namespace, source.name), section=f"rule {source.rule}")
    return resource.at("spec", "rules", source.rule or 0, "matches", max(source.match or 0, 0))
