"""`backendSettings`: how proxies talk to services that are no backends of routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource


def backend_settings(resource: Resource) -> Iterator[Path]:
    """Yield where an object has `backendSettings`: authorization, OIDC, JWKS, telemetry, …."""
    yield from _found(resource.spec, ("spec",))


def value_at(resource: Resource, path: Path) -> Any:
    """Return the value at a path of an object, None if it leads nowhere."""
    place: Any = resource.body
    for part in path:
        try:
            place = place[part]
        except (IndexError, KeyError, TypeError):
            return None
    return place


def _found(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == "backendSettings":
                yield (*path, key)
            else:
                yield from _found(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _found(entry, (*path, index))
