"""Header filters that 1.2.8 refuses and 1.3.0 lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.snapshot import entries, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource

_FILTERS = ("requestHeaderModifier", "responseHeaderModifier")


def _names(route: Resource) -> Iterator[tuple[Path, str, str]]:
    """Yield place, verb and name of every header in a filter of a route or its backendRefs."""
    for rule, body in items(route.spec, "rules"):
        path: Path = ("spec", "rules", rule)
        yield from _in_filters(body, path)
        for index, backend in items(body, "backendRefs"):
            yield from _in_filters(backend, (*path, "backendRefs", index))


def _in_filters(body: object, path: Path) -> Iterator[tuple[Path, str, str]]:
    for index, found in items(body, "filters"):
        for kind in _FILTERS:
            place = (*path, "filters", index, kind)
            for verb in ("set", "add"):
                for number, header in items(found, kind, verb):
                    yield (*place, verb, number, "name"), verb, text(header, "name")
            for number, name in enumerate(entries(section(found, kind), "remove")):
                yield (*place, "remove", number), "remove", str(name)


def becomes_active(route: Resource) -> tuple[Path, str] | None:
    """Return the header that 1.2.8 refuses, if nothing in 1.3.0 refuses the route too."""
    hit: tuple[Path, str] | None = None
    for path, verb, name in _names(route):
        odd = "/" in name or ":" in name
        if not name or (odd and verb != "remove"):
            return None
        if hit is None and (odd or name.lower() == "host"):
            hit = (path, name)
    return hit


def is_refused_by_envoy(name: str) -> bool:
    """Return whether Envoy refuses a whole route configuration that changes this header."""
    return name.startswith(":") or name.lower() == "host"


def refused(
    route: Resource, *, of_backends: bool, names_only: bool = False
) -> tuple[Path, str] | None:
    """Return the first header that releases from 1.3.2 on refuse, and why.

    Judged are the filters of rules, or those of backendRefs; with `names_only` only what every
    release refuses: names that can't be set.
    """
    for path, verb, name in _names(route):
        if ("backendRefs" in path) != of_backends:
            continue
        if names_only and name and (verb == "remove" or not ("/" in name or ":" in name)):
            continue
        if not name:
            return path, f"a header without a name is to be {_DONE[verb]}"
        if "/" in name or ":" in name or name.lower() == "host":
            return path, f"the header {name!r} can't be {_DONE[verb]}"
    return None


_DONE = {"set": "set", "add": "added", "remove": "removed"}
