"""EGU-1308 admin-behind-metrics-port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import Resource, section, text
from egops.upgrade.bootstrap import kind_of, value_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import FIXES
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1308",
    severity=Severity.WARNING,
    optional=(*CORE, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/security/advisories/GHSA-j777-63hf-hx76",
    ok="the metrics port of the proxies leads to nothing but metrics",
)
def admin_behind_metrics_port(snapshot: Snapshot) -> Iterator[Problem]:
    """The metrics port of the proxies lets a request through to Envoy's admin interface.

    ## Why it matters
    Up to 1.2.5 the bootstrap forwards every path that starts with `/stats/prometheus`, `..` parts
    included: whoever reaches port 19001 can read the configuration or stop the proxy
    (CVE-2025-24030). A bootstrap of one's own that copied the route stays open after the upgrade.

    ## How to fix it
    Upgrade, and match the exact path `/stats/prometheus` in a bootstrap of your own. Until then
    restrict port 19001 to the monitoring namespace.
    """
    step = upgrade_of(snapshot)
    joined = world(snapshot)
    anchor = joined.anchor()
    if anchor is not None and not FIXES[0].is_in(step.from_version):
        yield change(
            snapshot,
            anchor,
            "Envoy's admin interface can be reached through metrics port 19001 until the upgrade",
            today="a path such as /stats/prometheus/../../config_dump reaches the admin interface",
            after="only GET /stats/prometheus is let through",
            keep=("restrict port 19001 with a NetworkPolicy until then",),
            verify="curl --path-as-is http://POD:19001/stats/prometheus/../../config_dump says 404",
            severity=Severity.INFO,
        )
    for proxy in snapshot.all(ENVOY_PROXY):
        yield from _bootstrap(snapshot, proxy)


def _bootstrap(snapshot: Snapshot, proxy: Resource) -> Iterator[Problem]:
    kind = kind_of(proxy)
    value = value_of(proxy) if kind in ("Replace", "Merge") else None
    if value is None or not _is_open(value.get("static_resources")):
        return
    yield change(
        snapshot,
        proxy.at("spec", "bootstrap", "value"),
        "the bootstrap forwards paths under /stats on the metrics port to the admin interface",
        today="the admin interface can be reached through the metrics port",
        after="the same: this bootstrap replaces the repaired one",
        keep=("match the exact path /stats/prometheus, GET only, with normalize_path: true",),
        verify="curl --path-as-is http://POD:19001/stats/prometheus/../../config_dump says 404",
        possible="" if kind == "Replace" else "certain if the merged listener keeps this route",
    )


def _is_open(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_open(entry) for entry in value)
    if not isinstance(value, dict):
        return False
    match, action = section(value, "match"), section(value, "route")
    prefix = text(match, "prefix")
    if text(action, "cluster") == "prometheus_stats" and prefix.startswith("/stats"):
        return True
    return any(_is_open(entry) for entry in value.values())
