"""EGU-1327 access-log-types-change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.accesslog import KINDS, changed_logs
from egops.upgrade.change import upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1327",
    severity=Severity.WARNING,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 0, 0),
    link=notes_link((1, 3, 1)),
    ok="no access log changes its format",
)
def access_log_types_change(snapshot: Snapshot) -> Iterator[Problem]:
    """Access logs change: numbers stop being strings, and defaults go from JSON to text or back.

    ## Why it matters
    Envoy 1.33 writes numbers and booleans of JSON logs as such: mappings of log stores that expect
    strings refuse the lines. The default log is made by the JSON formatter in 1.2.7, 1.2.8 and from
    1.3.1 on, and is a text that looks like JSON in the others.

    ## How to fix it
    Adapt the log pipeline, or write out format and sink in the EnvoyProxy.
    """
    step = upgrade_of(snapshot)
    if not step.from_version[:2] == (1, 3) < step.to_version[:2]:  # that one is EGU-1402
        yield from changed_logs(snapshot)
