"""EGU-1332 config-key-gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("provider", "kubernetes", "overwriteControlPlaneCerts")


@rule(
    code="EGU-1332",
    severity=Severity.INFO,
    reads=(ENVOY_GATEWAY,),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/pull/5088",
    ok="the configuration uses no key that is gone",
)
def config_key_gone(snapshot: Snapshot) -> Iterator[Problem]:
    """The configuration sets `overwriteControlPlaneCerts`, which is gone.

    ## Why it matters
    The key is ignored without a word. It never had an effect through the chart.

    ## How to fix it
    Remove it. To make new certificates, set the chart's `certgen.job.args: ["-o"]` once.
    """
    upgrade_of(snapshot)
    for config in snapshot.all(ENVOY_GATEWAY):
        if PATH[2] in section(config.body, *PATH[:2]):
            yield change(
                snapshot,
                config.at(*PATH),
                "overwriteControlPlaneCerts is gone and ignored",
                today="it has no effect through the chart",
                after="it is unknown and ignored",
                keep=('remove it; certgen.job.args: ["-o"] makes new certificates',),
                fix_patch=patch(config, PATH),
            )
