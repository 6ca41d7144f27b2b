"""EGU-1828 port-conflict-decided-anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1828",
    severity=Severity.INFO,
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no two listeners of different protocols share a port",
)
def port_conflict_decided_anew(snapshot: Snapshot) -> Iterator[Problem]:
    """Which of two listeners with different protocols gets a port is decided anew.

    ## Why it matters
    Up to 1.7 the first one stayed or both were refused, by protocol. From 1.8 on the outcome
    can be another: look at the listeners' conditions after the upgrade.

    ## How to fix it
    Give each protocol a port of its own.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for gateway in joined.gateways:
        seen: dict[int, str] = {}
        for listener in joined.listeners_of(gateway):
            if listener.protocol == "UDP":
                continue
            first = seen.setdefault(listener.port, listener.protocol)
            if first != listener.protocol:
                yield change(
                    snapshot,
                    listener.at("port"),
                    f"{listener.label} shares port {listener.port} with a listener of {first}",
                    today="one of them is served, or none",
                    after="which one is decided by other rules",
                    keep=("give each protocol a port of its own",),
                    verify="the conditions Accepted and Conflicted of the listeners",
                    possible="certain if their status changes",
                )
