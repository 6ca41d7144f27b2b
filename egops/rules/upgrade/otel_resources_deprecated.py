"""EGU-1711 otel-resources-deprecated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1711",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no access log uses the deprecated field resources",
)
def otel_resources_deprecated(snapshot: Snapshot) -> Iterator[Problem]:
    """An OpenTelemetry access log sets `resources`, which is deprecated.

    ## Why it matters
    The field still works and goes away in a later release.

    ## How to fix it
    Rename it to `resourceAttributes` after the upgrade.
    """
    upgrade_of(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        for setting, body in items(proxy.spec, "telemetry", "accessLog", "settings"):
            for sink, entry in items(body, "sinks"):
                if section(entry, "openTelemetry", "resources"):
                    path = ("telemetry", "accessLog", "settings", setting, "sinks", sink)
                    yield change(
                        snapshot,
                        proxy.at("spec", *path, "openTelemetry", "resources"),
                        "openTelemetry.resources is deprecated",
                        today="it is the way to set resource attributes",
                        after="it still works; resourceAttributes replaces it",
                        keep=("rename it to resourceAttributes after the upgrade",),
                        verify="the log records have the attributes",
                    )
