"""EGU-1425 udp-listener-opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import UDP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.backends import KINDS, fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1425",
    severity=Severity.INFO,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 4, 1),
    link=notes_link((1, 4, 1)),
    ok="every UDP listener has a route that can be served",
)
def udp_listener_opens(snapshot: Snapshot) -> Iterator[Problem]:
    """A UDP listener is opened even if it has no route that can be served.

    ## Why it matters
    Before 1.4.1 Envoy did not listen for it. Now the port is open and packets lead nowhere
    until there is a good route.

    ## How to fix it
    Remove the listener if the port is not to be open.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for listener in joined.listeners:
        if listener.protocol != "UDP":
            continue
        refs = [
            (ref, found.route)
            for found in joined.routes_of(listener, UDP_ROUTE)
            for _, entry in rules_of(found.route)
            for ref in rule_backend_refs(entry)
        ]
        if refs and all(fault_of(joined, ref, route) is None for ref, route in refs):
            continue
        yield change(
            snapshot,
            listener.at("port"),
            f"{listener.label}: UDP port {listener.port} is opened without a good route",
            today="the listener is left out",
            after="the proxy listens, packets lead nowhere",
            keep=("remove the listener if the port is not to be open",),
            verify="the listener in /config_dump",
        )
