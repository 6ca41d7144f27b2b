"""Whose scrape target is it, and what does Prometheus say of it?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.monitoring.metrics import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.monitoring.metrics import Source


def failure(targets: Iterable[dict[str, Any]], source: Source) -> str:
    """Return `the scrape of X fails: why` for a target that looks like the source's, or ""."""
    for target in targets:
        url = str(target.get("scrapeUrl", ""))
        if target.get("health") == "down" and _looks_like(source, url, target):
            error = str(target.get("lastError", "")).strip() or "no reason given"
            return f"the scrape of {url} fails: {error[:160]}"
    return ""


_SIGNS = {
    "Envoy": re.compile(r"/stats/prometheus"),
    "Envoy Gateway": re.compile(r":19001/metrics"),
    "the rate limit service": re.compile(r":19001/metrics"),
    "kube-state-metrics": re.compile(r"kube-state-metrics|:8080/metrics"),
    "cAdvisor": re.compile(r"/metrics/cadvisor"),
}


def _looks_like(source: Source, url: str, target: dict[str, Any]) -> bool:
    sign = _SIGNS.get(source.name)
    if sign is None or not (sign.search(url) or sign.search(str(target.get("scrapePool", "")))):
        return False
    pod = str((target.get("labels") or {}).get("pod", ""))
    if source.name == "the rate limit service":
        return "ratelimit" in pod
    return not (source.name == "Envoy Gateway" and "ratelimit" in pod)


assert set(_SIGNS) <= set(SOURCES)
