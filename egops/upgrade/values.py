"""Helm values of the gateway-helm chart: recognised in values files and in releases' objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.gatewayapi import HELM_VALUES as VALUES
from egops.snapshot import section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path

_OWN_KEYS = {
    "certgen",
    "createNamespace",
    "deployment",
    "kubernetesClusterDomain",
    "podDisruptionBudget",
}


def trees(values: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the gateway-helm values in a values file, with the path to them.

    An umbrella chart holds them under the name of its dependency, one level down.
    """
    if not isinstance(values, dict):
        return
    if is_tree(values):
        yield (), values
        return
    for key, value in values.items():
        if isinstance(value, dict) and is_tree(value):
            yield (key,), value


def is_tree(values: dict[str, Any]) -> bool:
    """Return whether a mapping looks like values of the gateway-helm chart."""
    if isinstance(section(values, "config").get("envoyGateway"), dict):
        return True
    if isinstance(section(values, "deployment").get("envoyGateway"), dict):
        return True
    images = section(values, "global", "images")
    return bool(_OWN_KEYS & set(values)) and bool({"envoyGateway", "ratelimit"} & set(images))


__all__ = ["VALUES", "is_tree", "trees"]
