"""EGD-507 request-timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, ROUTE_KINDS
from egops.rules import rule
from egops.snapshot import Probe, section, text
from egops.traffic import (
    FEW,
    by_route,
    failures,
    live_routes,
    problem,
    route_of,
    rule_of,
    told,
    unread_logs,
)
from egops.xds.config_dump import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Problem, Unjudged
    from egops.snapshot import Snapshot
    from egops.traffic import Group

DEFAULT = "15 s, Envoy's default"


@rule(
    code="EGD-507",
    severity=Severity.WARNING,
    optional=(*ROUTE_KINDS, BACKEND_TRAFFIC_POLICY),
    probes=(Probe.PROXY_LOG,),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="no request runs into the timeout of its route",
)
def request_timeout(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Requests get 504 because the backend is slower than the timeout of their route.

    ## Why it matters
    Where nobody sets a timeout, Envoy's default of 15 seconds holds. It counts the whole response,
    so it also cuts long downloads and streams.

    ## How to fix it
    Set `timeouts.request` in the rule of the HTTPRoute, or `timeout.http.requestTimeout` in a
    BackendTrafficPolicy: longer than the slowest good answer, `0s` for streams.
    """
    for group in failures(snapshot, _fails, by_route):
        effective, origin = _timeout(group, snapshot)
        slow = sorted(entry.duration for entry in group.failing)
        yield problem(
            group,
            snapshot,
            f"{told(group)} ran into the timeout of {effective}",
            impact="these requests get 504",
            evidence=(f"they took {slow[0]} to {slow[-1]} ms", f"timeout: {effective} ({origin})"),
            remedy=("speed the backend up, or set timeouts.request in the rule (0s for streams)",),
            severity=Severity.INFO if len(group.failing) < FEW else None,
        )
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    return entry.code == 504 and (entry.has_flag("UT") or entry.details == "response_timeout")


def _timeout(group: Group, snapshot: Snapshot) -> tuple[str, str]:
    """Return the effective timeout and who set it."""
    found = route_of(group.key, snapshot)
    if found is not None:
        timeouts = section(rule_of(*found), "timeouts")
        if value := text(timeouts, "request") or text(timeouts, "backendRequest"):
            return value, f"timeouts of {found[0].ref}"
    live = _live(group)
    return (live, "BackendTrafficPolicy or route") if live else (DEFAULT, "nobody set one")


def _live(group: Group) -> str:
    """Return the timeout in the proxy's route, or an empty string."""
    for proxy in group.proxies:
        for route in live_routes(proxy, group.key):
            return text(plain(route.route), "timeout")
    return ""
