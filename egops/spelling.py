"""What a misspelt name may mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 100  # names to compare with: comparing costs a few microseconds each


def closest(name: str, names: Iterable[str]) -> str:
    """Return the known name that is nearest, or nothing if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only when something is misspelt

    known = list(names)
    if len(known) > MOST:
        known = [
            other for other in known if other[:2] == name[:2] and abs(len(other) - len(name)) <= 3
        ][:MOST]
    return next(iter(get_close_matches(name, known, n=1)), "")


def some(names: Iterable[str], most: int = 8) -> str:
    """Return the first names in order, `none` if there are none."""
    found = sorted(names)
    shown = ", ".join(found[:most]) or "none"
    return f"{shown}, …" if len(found) > most else shown
