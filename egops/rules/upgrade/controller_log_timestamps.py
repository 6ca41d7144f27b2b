"""EGU-1809 controller-log-timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1809",
    severity=Severity.INFO,
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 8, 0),
    fixed_in=(1, 8, 3),
    link=notes_link((1, 8, 0)),
    ok="the log of the controller keeps its form",
)
def controller_log_timestamps(snapshot: Snapshot) -> Iterator[Problem]:
    """The controller writes the time of its log lines in seconds since 1970.

    ## Why it matters
    Parsers of the controller's log that expect a date fail or drop lines.

    ## How to fix it
    Go to 1.8.3 or later, or adapt the parser.
    """
    upgrade_of(snapshot)
    yield from once(
        snapshot,
        "the controller's log has timestamps in seconds since 1970",
        today="dates, such as 2026-05-12T10:00:00Z",
        after="seconds since 1970, until 1.8.3",
        keep=("go to 1.8.3 or later",),
        verify="kubectl logs deploy/envoy-gateway",
        possible="certain if something parses the log",
    )
