"""Label selectors that are meant for the proxies of Envoy Gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LABELS = {
    "app.kubernetes.io/name": "envoy",
    "app.kubernetes.io/component": "proxy",
    "app.kubernetes.io/managed-by": "envoy-gateway",
}
OWNING = "gateway.envoyproxy.io/owning-"


def is_of_proxies(selector: Mapping[str, Any]) -> bool:
    """Return whether a label selector can match pods of a fleet, and is meant for them."""
    labels = selector.get("matchLabels", selector) if "matchLabels" in selector else selector
    if not isinstance(labels, dict) or not labels:
        return False
    for given, value in labels.items():
        key = str(given).removeprefix("k8s:")  # as Cilium writes it
        if key in LABELS:
            if value != LABELS[key]:
                return False
        elif not key.startswith(OWNING):
            return False
    return True
