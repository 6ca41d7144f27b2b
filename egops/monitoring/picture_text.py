"""A board drawn in the terminal: numbers, sparklines, bars. Pure; colours are ANSI."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

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
                lines += list(_panel(picture, panel, width))
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _panel(picture: Picture, panel: PanelPicture, width: int) -> Iterator[str]:
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
            yield f"    {_short(line.name, names):<{names}} {_drawn(picture, panel, line, room)}"
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


def _drawn(picture: Picture, panel: PanelPicture, line: Line, room: int) -> str:
    span = (picture.start, picture.end)
    shown = _paint(panel.color(line.last), panel.shown(line.last))
    match panel.kind:
        case "timeseries":
            return f"{sparkline(line.points, span, room)} {shown}"
        case "state-timeline":
            return f"{_band(panel, _cells(line.points, span, room))} {shown}"
        case "bargauge":
            return f"{_bar(panel, line, room)} {shown}"
        case _:
            return shown


def sparkline(points: Sequence[tuple[float, float]], span: tuple[float, float], room: int) -> str:
    """Return points as blocks, the highest of each part of the time span; a gap is a space."""
    finite = [value for _, value in points if math.isfinite(value)]
    if not finite:
        return " " * room
    low, high = min(0.0, *finite), max(finite)
    drawn = []
    for value in _cells(points, span, room):
        if value is None:
            drawn.append(" ")
            continue
        share = (value - low) / (high - low) if high > low else 0.0
        drawn.append(_TICKS[min(len(_TICKS) - 1, int(share * len(_TICKS)))])
    return "".join(drawn)


def _cells(
    points: Sequence[tuple[float, float]], span: tuple[float, float], room: int
) -> list[float | None]:
    """Return the highest finite value of each of `room` equal parts of the time span."""
    start, end = span
    cells: list[float | None] = [None] * room
    for moment, value in points:
        if math.isfinite(value) and start <= moment <= end:
            index = min(room - 1, int((moment - start) / (end - start) * room))
            known = cells[index]
            cells[index] = value if known is None else max(known, value)
    return cells


def _band(panel: PanelPicture, cells: Sequence[float | None]) -> str:
    return "".join(" " if cell is None else _paint(panel.color(cell), "█") for cell in cells)


def _bar(panel: PanelPicture, line: Line, room: int) -> str:
    highest = max([other.last for other in panel.lines if math.isfinite(other.last)] or [0.0])
    share = line.last / highest if highest > 0 and math.isfinite(line.last) else 0.0
    filled = max(0, min(room, round(share * room)))
    return _paint(panel.color(line.last), "█" * filled) + "░" * (room - filled)


def _short(name: str, room: int) -> str:
    """Return a name without its middle if it is too long: both ends tell more."""
    if len(name) <= room:
        return name
    head = (room - 1) // 2
    return f"{name[:head]}…{name[len(name) - (room - 1 - head) :]}"


def _paint(color: str, text: str) -> str:
    return f"\x1b[{_CODES.get(color, 39)}m{text}{_RESET}"
