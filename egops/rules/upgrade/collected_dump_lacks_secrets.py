"""EGU-1611 collected-dump-lacks-secrets."""

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
    code="EGU-1611",
    severity=Severity.INFO,
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no installation is in the input",
)
def collected_dump_lacks_secrets(snapshot: Snapshot) -> Iterator[Problem]:
    """`egctl x collect` leaves the secrets of the config dump out unless it is asked for them.

    ## Why it matters
    Support bundles no longer show which certificates a proxy holds.

    ## How to fix it
    Add `--sds true` where the bundle may hold them.
    """
    upgrade_of(snapshot)
    yield from once(
        snapshot,
        "bundles of egctl x collect no longer hold the secrets' part of the config dump",
        today="the part is in the bundle",
        after="it is left out",
        keep=("add --sds true where the bundle may hold it",),
        verify="egctl x collect, then look into the bundle",
        possible="matters to who collects bundles only",
    )
