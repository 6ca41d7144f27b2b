"""EGU-1108 single-reference-deprecated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.deprecated import KINDS, newly_deprecated
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1108",
    severity=Severity.INFO,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="no object uses a field that 1.1 deprecates",
)
def single_reference_deprecated(snapshot: Snapshot) -> Iterator[Problem]:
    """An object uses `targetRef`, `backendRef` or `host` alone, which 1.1 deprecates.

    ## Why it matters
    The fields still work and go away in a later release; lists replace them.

    ## How to fix it
    Use `targetRefs`, `backendRefs`, and `fqdn`, `ip` or `unix` for the extension service.
    """
    upgrade_of(snapshot)
    yield from newly_deprecated(snapshot, (1, 1))
