"""EGU-0007 response-flag-appeared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.accesslog import parse, share
from egops.finding import Problem, Severity
from egops.gatewayapi import ROUTE_KINDS
from egops.proxies import location_of, unanswered
from egops.rules import rule
from egops.snapshot import Probe
from egops.upgrade.compared import before, location
from egops.xds.names import ObjectName, parse_route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Unjudged
    from egops.snapshot import Location, Proxy, Snapshot

CLIENT = frozenset({"DC", "DPE"})  # the client went away, or spoke no HTTP


@rule(
    code="EGU-0007",
    severity=Severity.WARNING,
    optional=ROUTE_KINDS,
    probes=(Probe.PROXY_LOG,),
    since="0.1",
    ok="no response flag is in the access logs that was not there before the upgrade",
)
def response_flag_appeared(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """The access log has a response flag, or a 5xx by Envoy, that it did not have before.

    ## Why it matters
    A flag says why Envoy itself ended a request: no route (NR), no healthy backend (UH), a refused
    connection (UF). One that comes with the upgrade is the first trace of what the upgrade broke,
    as far as somebody has already asked for it.

    ## How to fix it
    `egops routes explain --from-access-log FILE` shows which rule each request takes; compare with
    the findings on the route.
    """
    past = before(snapshot)
    known = {key for proxy in past.proxies for key, _ in _marks(proxy)}
    for proxy in snapshot.proxies:
        if not proxy.has(Probe.PROXY_LOG):
            continue
        fresh: dict[tuple[str, str], list[Entry]] = {}
        for key, entry in _marks(proxy):
            is_new = entry.start is None or entry.start > past.taken_at
            if key not in known and is_new:
                fresh.setdefault(key, []).append(entry)
        for (mark, _), found in sorted(fresh.items()):
            yield _problem(snapshot, proxy, mark, found)
    yield from unanswered(past, Probe.PROXY_LOG)
    yield from unanswered(snapshot, Probe.PROXY_LOG)


def _marks(proxy: Proxy) -> Iterator[tuple[tuple[str, str], Entry]]:
    """Yield what marks a request as ended by Envoy, with the route that it took."""
    if not proxy.has(Probe.PROXY_LOG):
        return
    for entry in parse(proxy.log).requests:
        flags = [flag for flag in entry.flags.split(",") if flag and flag not in CLIENT]
        for flag in flags:
            yield (flag, entry.route), entry
        if not flags and entry.code >= 500 and not entry.upstream_host:
            yield (str(entry.code), entry.route), entry


def _problem(snapshot: Snapshot, proxy: Proxy, mark: str, found: list[Entry]) -> Problem:
    first = found[0]
    what = f"flag {mark}" if not mark.isdecimal() else f"status {mark} by Envoy itself"
    route = f" on route {first.route}" if first.route else ""
    return Problem(
        _place(snapshot, proxy, first.route),
        f"{share(found, parse(proxy.log).requests)} ended with {what}{route}, none before the "
        "upgrade",
        evidence=(
            f"{first.method} {first.authority}{first.path}: {first.code} {first.details}".rstrip(),
        ),
        remedy=("egops routes explain --from-access-log FILE",),
    )


def _place(snapshot: Snapshot, proxy: Proxy, route: str) -> Location:
    made_by = parse_route(route)
    if made_by is None:
        return location_of(proxy)
    owner = ObjectName(made_by.kind, made_by.namespace, made_by.name)
    return location(snapshot, owner, made_by.rule)
