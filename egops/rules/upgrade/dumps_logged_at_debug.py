"""EGU-1205 dumps-logged-at-debug."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1205",
    severity=Severity.INFO,
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="the controller logs at debug anyway, or no installation is in the input",
)
def dumps_logged_at_debug(snapshot: Snapshot) -> Iterator[Problem]:
    """The controller logs its intermediate representation at level debug instead of info.

    ## Why it matters
    Tools and people that read the dumps of the translated configuration in the log find none.

    ## How to fix it
    Set `logging.level.default: debug` in the configuration while you need them.
    """
    upgrade_of(snapshot)
    config = world(snapshot).config
    if config is not None and text(config, "logging", "level", "default") == "debug":
        return
    yield from once(
        snapshot,
        "the log of the controller holds no dumps of the translated configuration",
        today="they are logged at info",
        after="they are logged at debug",
        keep=("set logging.level.default: debug in the EnvoyGateway configuration",),
        verify="the log of the controller",
        possible="matters to what reads the dumps only",
    )
