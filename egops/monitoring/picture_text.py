"""A board drawn in the terminal: numbers, sparklines, bars. Pure; colours are ANSI."""

from __future__ import annotations

import math
import textwrap
import time
from typing import TYPE_CHECKING

from egops.monitoring.picture import with_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.monitoring.picture import Line, PanelPicture, Picture

MOST_LINES = 6  # of one panel; the rest is counted
_TICKS = "▁▂▃▄▅▆▇█"
_CODES = {"green": 32, "red": 31, "yellow": 33, "orange": 33, "blue": 34}
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def to_text(picture: Picture, *, width: int = 100) -> str:
    """Return the board as lines of at most `width` columns, colour codes not counted."""
    lines = [f"{_BOLD}{picture.title}{_RESET}", picture.description]
    lines.append(
        f"{_DIM}{_clock(picture.start)} to {_clock(picture.end)}, {picture.source}{_RESET}"
    )
    for title, panels in picture.rows:
        lines += ["", f"{_BOLD}{title}{_RESET}"]
        for panel in panels:
            if panel.kind != "text":
                lines += list(_panel(panel, width))
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _panel(panel: PanelPicture, width: int) -> Iterator[str]:
    if panel.error:
        yield f"  {panel.title}: {_paint('red', panel.error[: width - 6])}"
    elif not panel.lines:
        yield f"  {panel.title}: {_DIM}{panel.no_value}{_RESET}"
    elif panel.kind == "stat":
        yield f"  {panel.title}: {'  '.join(_stat(panel, panel.lines))}"
    else:
        yield f"  {panel.title}"
        shown = _loudest(panel.lines)
        room = min(32, max(12, width - 40))
        names = max(12, min(max(len(line.name) for line in shown), width - room - 18))
        for line in shown:
            yield f"    {_short(line.name, names):<{names}} {_drawn(panel, line, room)}"
        if len(panel.lines) > len(shown):
            yield f"    {_DIM}and {len(panel.lines) - len(shown)} more{_RESET}"


def _stat(panel: PanelPicture, lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        name = f"{line.name} " if len(lines) > 1 else ""
        yield f"{name}{_paint(panel.color(line.last), panel.shown(line.last))}"


def _loudest(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with the highest newest values; NaN comes last."""

    def loudness(line: Line) -> float:
        return -math.inf if math.isnan(line.last) else line.last

    return sorted(lines, key=loudness, reverse=True)[:MOST_LINES]


def _drawn(panel: PanelPicture, line: Line, room: int) -> str:
    shown = _paint(panel.color(line.last), panel.shown(line.last))
    match panel.kind:
        case "timeseries":
            return f"{sparkline([value for _, value in line.points], room)} {shown}"
        case "state-timeline":
            return f"{_band(panel, line, room)} {shown}"
        case "bargauge":
            return f"{_bar(panel, line, room)} {shown}"
        case _:
            return shown


def sparkline(values: Sequence[float], room: int) -> str:
    """Return values as blocks, the highest of each part of the time; a gap is a space."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return " " * room
    low, high = min(0.0, *finite), max(finite)
    cells = []
    for part in _parts(values, room):
        known = [value for value in part if math.isfinite(value)]
        if not known:
            cells.append(" ")
            continue
        share = (max(known) - low) / (high - low) if high > low else 0.0
        cells.append(_TICKS[min(len(_TICKS) - 1, int(share * len(_TICKS)))])
    return "".join(cells).ljust(room)


def _parts(values: Sequence[float], room: int) -> Iterator[Sequence[float]]:
    count = min(room, len(values))
    for index in range(count):
        start = index * len(values) // count
        yield values[start : max(start + 1, (index + 1) * len(values) // count)]


def _band(panel: PanelPicture, line: Line, room: int) -> str:
    cells = [
        _paint(panel.color(part[-1]), "█") for part in _parts([v for _, v in line.points], room)
    ]
    return "".join(cells) + " " * (room - len(cells))


def _bar(panel: PanelPicture, line: Line, room: int) -> str:
    highest = max([other.last for other in panel.lines if math.isfinite(other.last)] or [0.0])
    share = line.last / highest if highest > 0 and math.isfinite(line.last) else 0.0
    filled = max(0, min(room, round(share * room)))
    return _paint(panel.color(line.last), "█" * filled) + "░" * (room - filled)


def _short(name: str, room: int) -> str:
    return (
        textwrap.shorten(name, room, placeholder="…")
        if " " in name
        else (name if len(name) <= room else f"{name[: room - 1]}…")
    )


def _paint(color: str, text: str) -> str:
    return f"\x1b[{_CODES.get(color, 39)}m{text}{_RESET}"


__all__ = ["sparkline", "to_text", "with_unit"]
