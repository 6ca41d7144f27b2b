"""EGU-1436 default-log-written-again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import entries, items
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1436",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 4, 2),
    link=notes_link((1, 4, 2)),
    ok="every access log of an EnvoyProxy has a format",
)
def default_log_written_again(snapshot: Snapshot) -> Iterator[Problem]:
    """An access log without a format is written again.

    ## Why it matters
    From 1.3.1 to 1.4.1 a setting with sinks and no format wrote nothing. From 1.4.2 on it
    writes the default format.

    ## How to fix it
    Mind the disk and the log pipeline.
    """
    if upgrade_of(snapshot).from_version < (1, 3, 1):
        return
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        for index, setting in items(proxy.spec, "telemetry", "accessLog", "settings"):
            if "format" not in setting and entries(setting, "sinks"):
                yield change(
                    snapshot,
                    proxy.at("spec", "telemetry", "accessLog", "settings", index),
                    "the access log without a format is written again",
                    today="nothing is written",
                    after="the default JSON format is written",
                    verify="the log of a proxy",
                )
