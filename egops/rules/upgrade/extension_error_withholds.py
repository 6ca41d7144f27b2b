"""EGU-1404 extension-error-withholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1404",
    severity=Severity.WARNING,
    reads=(ENVOY_GATEWAY,),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no extension server takes part in the translation",
)
def extension_error_withholds(snapshot: Snapshot) -> Iterator[Problem]:
    """An error of the extension server holds back the update of its Gateway.

    ## Why it matters
    With `failOpen: false` the resources concerned answered 500; now nothing new is published. With
    `failOpen: true` errors are logged and passed over.

    ## How to fix it
    Watch the extension server; decide about `failOpen` before the upgrade.
    """
    upgrade_of(snapshot)
    for config in snapshot.all(ENVOY_GATEWAY):
        manager = section(config.body, "extensionManager")
        if not section(manager, "hooks"):
            continue
        is_open = manager.get("failOpen") is True
        yield change(
            snapshot,
            config.at("extensionManager"),
            "an error of the extension server "
            + ("is passed over" if is_open else "holds back the update of its Gateway"),
            today="what the extension server fails on is published or answers 500",
            after="the error is only logged" if is_open else "no snapshot is published",
            keep=("set extensionManager.failOpen as you want errors to be treated",),
            verify="the log of the controller has no error of the extension server",
            possible="certain if the extension server fails",
        )
