"""EGU-1724 bad-certificate-left-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECRET
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1724",
    severity=Severity.INFO,
    optional=(*CORE, SECRET),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no listener names several certificates",
)
def bad_certificate_left_out(snapshot: Snapshot) -> Iterator[Problem]:
    """One bad certificate of several no longer takes its listener down.

    ## Why it matters
    Up to 1.6 a listener was not programmed if any of its certificates could not be used. From
    1.7 on it serves the good ones.

    ## How to fix it
    Remove the bad certificateRef.
    """
    upgrade_of(snapshot)
    for listener in world(snapshot).listeners:
        if len(entries(listener.body, "tls", "certificateRefs")) > 1:
            yield change(
                snapshot,
                listener.at("tls", "certificateRefs"),
                f"{listener.label} serves its good certificates even if one is bad",
                today="one bad certificate takes the listener down",
                after="the good ones are served",
                possible="certain if one of the certificates can't be used",
            )
