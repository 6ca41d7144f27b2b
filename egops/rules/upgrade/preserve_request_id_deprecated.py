"""EGU-1411 preserve-request-id-deprecated."""

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
    code="EGU-1411",
    severity=Severity.INFO,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no ClientTrafficPolicy sets preserveXRequestID",
)
def preserve_request_id_deprecated(snapshot: Snapshot) -> Iterator[Problem]:
    """A ClientTrafficPolicy sets `headers.preserveXRequestID`, which 1.4 deprecates.

    ## Why it matters
    The field still works; together with its successor `requestID` an apply is refused.

    ## How to fix it
    Write `headers.requestID: Preserve` instead, after the upgrade.
    """
    upgrade_of(snapshot)
    yield from newly_deprecated(snapshot, (1, 4))
