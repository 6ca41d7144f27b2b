"""The shipped boards, promtool tests and runbooks, from the wheel or from a checkout alike."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.monitoring.runbook import RUNBOOKS, RUNBOOKS_VARIABLE

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Board = dict[str, Any]
ORDER = ("control-plane", "xds", "proxies", "certs", "ratelimit")


def _folder(name: str) -> Traversable:
    """Return a folder of data: inside the package when installed, beside it in a checkout."""
    inside = files("egops.monitoring") / name
    if inside.is_dir():
        return inside
    root = Path(__file__).resolve().parents[2]
    return root / "docs" / name if name == "runbooks" else root / name


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


def boards(names: tuple[str, ...] = (), *, runbooks_at: str = RUNBOOKS) -> dict[str, Board]:
    """Return boards, all or the named ones, with links to the runbooks at that base.

    Raises InputError for a name that is not there.
    """
    texts = board_texts()
    short = [name.removeprefix("egops-") for name in names] or list(texts)
    for name in short:
        if name not in texts:
            raise InputError(f"there is no board {name}", hint=f"there are: {', '.join(texts)}")
    return {name: _linked(json.loads(texts[name]), runbooks_at) for name in short}


def _linked(board: Board, base: str) -> Board:
    for variable in board["templating"]["list"]:
        if variable["name"] == RUNBOOKS_VARIABLE:
            variable["query"] = base
            for option in (variable["current"], *variable["options"]):
                option |= {"text": base, "value": base}
    return board


def promtool_tests() -> dict[str, str]:
    """Return the promtool unit tests by the name of their alert."""
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in sorted((_folder("alerts") / "tests").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def runbooks() -> dict[str, str]:
    """Return the runbook pages, Markdown, by the name of their alert, in the order of names."""
    return {
        entry.name.removesuffix(".md"): entry.read_text("utf-8")
        for entry in sorted(_folder("runbooks").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".md")
    }


def runbook(alert: str) -> str:
    """Return the runbook page of an alert. Raises InputError for an alert that has none."""
    pages = runbooks()
    folded = {name.lower(): name for name in pages}
    name = folded.get(alert.strip().removesuffix(".md").lower())
    if name is None:
        close = get_close_matches(alert, list(pages), n=1)
        hint = f"did you mean {close[0]}?" if close else "`egops alerts runbook` lists them"
        raise InputError(f"there is no runbook for {alert}", hint=hint)
    return pages[name]
