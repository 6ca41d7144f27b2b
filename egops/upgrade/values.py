"""Helm values of the gateway-helm chart: recognised in values files and in releases' objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.snapshot import section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path

DEPTH = 3  # an umbrella chart can be part of another one
_OWN_KEYS = {
    "certgen",
    "createNamespace",
    "deployment",
    "kubernetesClusterDomain",
    "podDisruptionBudget",
    "topologyInjector",
}


def trees(values: Any, known: tuple[str, ...] = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the gateway-helm values in a values file, with the path to them.

    An umbrella chart holds them under the name of its dependency. `known` are the keys that its
    Chart.yaml gives them (`` for the root): there they count, whatever they look like.
    """
    if not isinstance(values, dict):
        return
    if "" in known or is_tree(values):
        yield (), values
        return
    for key in known:
        if isinstance(values.get(key), dict):
            yield (key,), values[key]
    yield from _nested({key: value for key, value in values.items() if key not in known}, (), DEPTH)


def _nested(values: dict[str, Any], path: Path, left: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    for key, value in values.items():
        if not isinstance(value, dict) or key == "global":
            continue
        if is_tree(value):
            yield (*path, key), value
        elif left > 1:
            yield from _nested(value, (*path, key), left - 1)


def is_tree(values: dict[str, Any]) -> bool:
    """Return whether a mapping looks like values of the gateway-helm chart."""
    if isinstance(section(values, "config").get("envoyGateway"), dict):
        return True
    if isinstance(section(values, "deployment").get("envoyGateway"), dict):
        return True
    images = section(values, "global", "images")
    return bool(_OWN_KEYS & set(values)) and bool({"envoyGateway", "ratelimit"} & set(images))
