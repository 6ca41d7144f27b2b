"""EGU-1402 default-log-becomes-json."""

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
    code="EGU-1402",
    severity=Severity.WARNING,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="the access logs went through the JSON formatter before",
)
def default_log_becomes_json(snapshot: Snapshot) -> Iterator[Problem]:
    """The default access log of 1.3.0 goes through the JSON formatter from 1.4 on.

    ## Why it matters
    Numbers and booleans lose their quotes, and values are escaped: mappings of log stores that
    expect strings refuse the lines. From 1.3.1 on nothing changes.

    ## How to fix it
    Adapt the log pipeline, or write out format and sink in the EnvoyProxy.
    """
    if upgrade_of(snapshot).from_version[:2] == (1, 3):
        yield from changed_logs(snapshot)
