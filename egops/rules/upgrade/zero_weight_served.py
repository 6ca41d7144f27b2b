"""EGU-1342 zero-weight-served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import TCP_ROUTE, UDP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1342",
    severity=Severity.INFO,
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 3, 1),
    link=notes_link((1, 3, 1)),
    ok="no TCPRoute or UDPRoute has a backend of weight 0, which 1.3.0 can't bear",
)
def zero_weight_served(snapshot: Snapshot) -> Iterator[Problem]:
    """A backendRef with weight 0 panics 1.3.0 and does not any more.

    ## Why it matters
    Up to now no Gateway of the controller got any configuration. All that was changed meanwhile
    takes effect at once with the upgrade.

    ## How to fix it
    Look at what was changed since the panic began, before the upgrade.
    """
    if upgrade_of(snapshot).from_version != (1, 3, 0):
        return
    for attachment in world(snapshot).routes(TCP_ROUTE, UDP_ROUTE):
        for _, entry in rules_of(attachment.route):
            for ref in rule_backend_refs(entry):
                if ref.entry.body.get("weight") == 0:
                    yield change(
                        snapshot,
                        ref.entry.at("weight"),
                        "the panic over this weight of 0 ends, and every Gateway is updated",
                        today="the translation panics, every update is lost",
                        after="the backend is left out, waiting changes take effect at once",
                        verify="watchable_panics_recovered_total stays 0",
                    )
