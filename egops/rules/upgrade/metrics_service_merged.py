"""EGU-1105 metrics-service-merged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CONFIG_MAP, NETWORK_POLICY, PROMETHEUS_RULE, SERVICE_MONITOR
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot

OLD = "envoy-gateway-metrics-service"
NAMED = re.compile(rf"(?<![\w-]){OLD}(?![\w-])")


@rule(
    code="EGU-1105",
    severity=Severity.WARNING,
    optional=(SERVICE_MONITOR, PROMETHEUS_RULE, NETWORK_POLICY, CONFIG_MAP),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="nothing names the Service envoy-gateway-metrics-service",
)
def metrics_service_merged(snapshot: Snapshot) -> Iterator[Problem]:
    """The Service `envoy-gateway-metrics-service` is gone, `envoy-gateway` has its port.

    ## Why it matters
    What scrapes or opens the old Service by name finds nothing: the controller's metrics stop.

    ## How to fix it
    Scrape the Service `envoy-gateway`, port `metrics` (19001).
    """
    upgrade_of(snapshot)
    for kind in (SERVICE_MONITOR, PROMETHEUS_RULE, NETWORK_POLICY, CONFIG_MAP):
        for found in snapshot.all(kind):
            for path in _named(found.body, ()):
                yield change(
                    snapshot,
                    found.at(*path),
                    f"the Service {OLD} is gone",
                    today=f"{OLD} has the controller's metrics on port 19001",
                    after="the Service envoy-gateway has them, on its port metrics",
                    keep=("name the Service envoy-gateway, port metrics",),
                    verify="the target is up in Prometheus",
                )


def _named(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, str):
        if NAMED.search(value):
            yield path
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key not in ("metadata", "status"):
                yield from _named(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _named(entry, (*path, index))
