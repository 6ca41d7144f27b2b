"""EGU-1504 runner-label-renamed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, PROMETHEUS_RULE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.expressions import expressions
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

OLD = re.compile(r"xds-translator|xds-server")


@rule(
    code="EGU-1504",
    severity=Severity.WARNING,
    optional=(
        PROMETHEUS_RULE,
        ENVOY_GATEWAY,
    ),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="nothing names the runners xds-translator and xds-server",
)
def runner_label_renamed(snapshot: Snapshot) -> Iterator[Problem]:
    """The runners `xds-translator` and `xds-server` are one, `xds`.

    ## Why it matters
    Alerts on the label `runner` find nothing, and log levels set for the old names have no effect.

    ## How to fix it
    Write `xds` instead.
    """
    upgrade_of(snapshot)
    for found in expressions(snapshot):
        name = OLD.search(found.promql)
        if name:
            yield change(
                snapshot,
                found.at(),
                f"no series has runner {name.group()} any more",
                today="the expression finds the runner",
                after="the runner is called xds: the expression finds nothing",
                keep=("write xds, or both for a while: xds|xds-translator|xds-server",),
                verify="the expression gives a result in Prometheus",
            )
    for config in snapshot.all(ENVOY_GATEWAY):
        for key in section(config.body, "logging", "level"):
            if OLD.fullmatch(str(key)):
                yield change(
                    snapshot,
                    config.at("logging", "level", key),
                    f"the log level of {key} has no effect",
                    today="it sets the level of the runner",
                    after="the runner is called xds",
                    keep=("set logging.level.xds",),
                    verify="the log of the controller",
                )
