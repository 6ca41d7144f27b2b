"""The shipped boards and promtool tests, from the wheel or from a checkout alike."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egops.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Board = dict[str, Any]
ORDER = ("control-plane", "xds", "proxies", "certs", "ratelimit")


def _folder(name: str) -> Traversable:
    """Return a folder of data: inside the package when installed, beside it in a checkout."""
    inside = files("egops.monitoring") / name
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parents[2] / name


@cache
def board_texts() -> dict[str, str]:
    """Return the JSON text of every board by its short name, in the order people read them."""
    found = {
        entry.name.removesuffix(".json"): entry.read_text("utf-8")
        for entry in _folder("dashboards").iterdir()
        if entry.name.endswith(".json")
    }
    return {name: found[name] for name in sorted(found, key=_position)}


def _position(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def boards(names: tuple[str, ...] = ()) -> dict[str, Board]:
    """Return boards, all or the named ones. Raises InputError for a name that is not there."""
    texts = board_texts()
    short = [name.removeprefix("egops-") for name in names] or list(texts)
    for name in short:
        if name not in texts:
            raise InputError(f"there is no board {name}", hint=f"there are: {', '.join(texts)}")
    return {name: json.loads(texts[name]) for name in short}


def promtool_tests() -> dict[str, str]:
    """Return the promtool unit tests by the name of their alert."""
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in sorted((_folder("alerts") / "tests").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }
