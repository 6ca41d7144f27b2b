"""EGU-1711 otel-resources-deprecated."""

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
    code="EGU-1711",
    severity=Severity.INFO,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no EnvoyProxy uses a field that 1.7 deprecates",
)
def otel_resources_deprecated(snapshot: Snapshot) -> Iterator[Problem]:
    """An OpenTelemetry access log sets `resources`, or tracing `customTags`: both are deprecated.

    ## Why it matters
    The fields still work and go away in a later release.

    ## How to fix it
    Rename them to `resourceAttributes` and `tags` after the upgrade.
    """
    upgrade_of(snapshot)
    yield from newly_deprecated(snapshot, (1, 7))
