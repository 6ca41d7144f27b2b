"""A board as one HTML page with its charts in it: no script, no request to anywhere. Pure."""

from __future__ import annotations

import math
import re
import time
from html import escape
from typing import TYPE_CHECKING

from egops.monitoring.picture import with_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egops.monitoring.picture import Line, PanelPicture, Picture

MOST_LINES = 20
HEIGHT, LEFT, BOTTOM, TOP = 150, 74, 18, 6
COLUMN = 57  # units of a drawing for each of the 24 columns, so that letters are equally large
_HUES = ("#3274d9", "#e0752d", "#37872d", "#b877d9", "#c4162a", "#1f9e9e", "#b8860b", "#8f3bb8")
_COLORS = {
    "green": "#2f8f3f", "red": "#d0342c", "yellow": "#c79a00", "orange": "#d9731a",
    "blue": "#3274d9",
}  # fmt: skip
_STYLE = """
:root{--back:#f4f5f7;--card:#fff;--text:#1f2430;--soft:#5d6573;--line:#d9dce2}
@media (prefers-color-scheme:dark){:root{--back:#111318;--card:#1b1e25;--text:#e6e8ec;
--soft:#9aa2b1;--line:#343944}}
*{box-sizing:border-box}
body{margin:0;padding:20px 24px;background:var(--back);color:var(--text);
font:14px/1.4 system-ui,sans-serif}
h1{font-size:20px;margin:0}h2{font-size:15px;margin:22px 0 8px}
header p{margin:2px 0;color:var(--soft)}
.row{display:grid;grid-template-columns:repeat(24,1fr);gap:8px}
.card{background:var(--card);border:1px solid var(--line);border-radius:4px;padding:8px 10px;
min-width:0;overflow:hidden}
.card h3{font-size:13px;margin:0 0 4px;font-weight:600;display:flex;
justify-content:space-between;gap:6px}
.card h3 a{color:var(--soft);font-weight:400;text-decoration:none}
.card p.why{color:var(--soft);font-size:11.5px;margin:6px 0 0}
.none{color:var(--soft);padding:14px 0;text-align:center}
.bad{color:#d0342c}
.stats{display:flex;gap:6px}
.stat{flex:1;color:#fff;border-radius:3px;padding:10px 4px;text-align:center;font-size:19px;
font-weight:600;min-width:0}
.stat small{display:block;font-size:11px;font-weight:400}
table{border-collapse:collapse;width:100%;font-size:12px}
th,td{text-align:left;padding:2px 6px;border-bottom:1px solid var(--line);word-break:break-word}
code{font-size:.95em;word-break:break-word}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:10px system-ui,sans-serif}
.axis{stroke:var(--line)}
ul.legend{list-style:none;margin:4px 0 0;padding:0;font-size:11.5px;columns:2}
ul.legend li{break-inside:avoid;display:flex;align-items:baseline}
ul.legend span{word-break:break-word}ul.legend b{margin-left:6px;white-space:nowrap}
ul.legend i{flex:none;width:10px;height:3px;margin-right:5px;align-self:flex-start;margin-top:7px}
.bar{display:grid;grid-template-columns:minmax(90px,40%) 1fr 70px;gap:6px;font-size:12px;
align-items:center;margin:3px 0}
.bar b{height:12px;border-radius:2px}
details{margin:4px 0}summary{cursor:pointer;font-weight:600}
details pre{white-space:pre-wrap;font-size:12px;margin:6px 0 2px}
details:target{border-color:#3274d9}
@media (max-width:1000px){.row{display:block}.card{margin-bottom:8px}}
"""


def to_html(picture: Picture) -> str:
    """Return the page."""
    rows = "".join(_row(picture, title, panels) for title, panels in picture.rows)
    span = f"{_clock(picture.start)} to {_clock(picture.end)}, from {picture.source}"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(picture.title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><header><h1>{escape(picture.title)}</h1>"
        f"<p>{escape(picture.description)}</p><p>{escape(span)}</p></header>{rows}{_runbooks(picture)}</body></html>\n"
    )


def _runbooks(picture: Picture) -> str:
    """Return the pages that the panels link to, so that they can be read where the picture is."""
    pages = "".join(
        f'<details class="card" id="{escape(alert)}"><summary>{escape(alert)}</summary>'
        f"<pre>{escape(text.partition(chr(10))[2].strip())}</pre></details>"
        for alert, text in picture.runbooks.items()
    )
    return f"<h2>Runbooks</h2>{pages}" if pages else ""


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _row(picture: Picture, title: str, panels: Sequence[PanelPicture]) -> str:
    cards = "".join(_card(picture, panel) for panel in panels)
    return f'<h2>{escape(title)}</h2><div class="row">{cards}</div>\n'


def _card(picture: Picture, panel: PanelPicture) -> str:
    known = panel.runbook in picture.runbooks
    link = f'<a href="#{escape(panel.runbook)}">runbook</a>' if known else ""
    why = "" if panel.kind == "text" else f'<p class="why">{_prose(panel.description)}</p>'
    return (
        f'<section class="card" style="grid-column:span {panel.place[2]}">'
        f"<h3><span>{_prose(panel.title)}</span>{link}</h3>{_body(picture, panel)}{why}</section>"
    )


def _body(picture: Picture, panel: PanelPicture) -> str:
    if panel.kind == "text":
        return f"<p>{_prose(panel.content)}</p>"
    if panel.error:
        return f'<p class="none bad">{escape(panel.error)}</p>'
    if not panel.lines:
        return f'<p class="none">{escape(panel.no_value)}</p>'
    match panel.kind:
        case "stat":
            return _stats(panel)
        case "table":
            return _table(panel)
        case "bargauge":
            return "".join(_bar(panel, line) for line in panel.lines[:MOST_LINES])
        case "state-timeline":
            return _bands(picture, panel)
        case _:
            return _chart(picture, panel)


def _prose(text: str) -> str:
    """Return a sentence of a board as HTML: code and bold are all the Markdown it has."""
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", html)


def _stats(panel: PanelPicture) -> str:
    cells = "".join(
        f'<div class="stat" style="background:{_COLORS[panel.color(line.last)]}">'
        f"{escape(panel.shown(line.last))}<small>{escape(line.name)}</small></div>"
        for line in panel.lines[:MOST_LINES]
    )
    return f'<div class="stats">{cells}</div>'


def _table(panel: PanelPicture) -> str:
    labels = sorted({key for line in panel.lines for key in line.labels if key != "__name__"})
    head = "".join(f"<th>{escape(panel.columns.get(key, key))}</th>" for key in labels)
    value = escape(panel.columns.get("Value", "Value"))
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(line.labels.get(key, ''))}</td>" for key in labels)
        + f'<td style="color:{_COLORS[panel.color(line.last)]}">{escape(panel.shown(line.last))}'
        "</td></tr>"
        for line in panel.lines[:MOST_LINES]
    )
    return f"<table><tr>{head}<th>{value}</th></tr>{body}</table>{_more(panel)}"


def _bar(panel: PanelPicture, line: Line) -> str:
    highest = max([other.last for other in panel.lines if math.isfinite(other.last)] or [0.0])
    share = line.last / highest if highest > 0 and math.isfinite(line.last) else 0.0
    color = _COLORS[panel.color(line.last)]
    return (
        f'<div class="bar"><span>{escape(line.name)}</span>'
        f'<b style="background:{color};width:{max(0.5, share * 100):.1f}%"></b>'
        f"<span>{escape(panel.shown(line.last))}</span></div>"
    )


def _more(panel: PanelPicture) -> str:
    left = len(panel.lines) - MOST_LINES
    return f'<p class="why">and {left} more</p>' if left > 0 else ""


def _bands(picture: Picture, panel: PanelPicture) -> str:
    height, name, width = 20, 190, panel.place[2] * COLUMN
    lines = panel.lines[:MOST_LINES]
    shapes = []
    for index, line in enumerate(lines):
        top = index * height
        shapes.append(f'<text x="0" y="{top + 13}">{escape(_clipped(line.name, 34))}</text>')
        for start, end, value in _stretches(picture, line):
            left, right = (name + share * (width - name) for share in (start, end))
            color = _COLORS[panel.color(value)]
            shapes.append(
                f'<rect x="{left:.1f}" y="{top + 2}" width="{max(1.0, right - left):.1f}" '
                f'height="{height - 4}" fill="{color}"><title>{escape(panel.shown(value))}</title>'
                "</rect>"
            )
    legend = "".join(
        f'<li><i style="background:{_COLORS.get(hue, hue)}"></i><span>{escape(text)}</span></li>'
        for text, hue in panel.mappings.values()
    )
    total = len(lines) * height
    return (
        f'<svg viewBox="0 0 {width} {total}" role="img">{"".join(shapes)}</svg>'
        f'<ul class="legend">{legend}</ul>{_more(panel)}'
    )


def _stretches(picture: Picture, line: Line) -> Iterator[tuple[float, float, float]]:
    """Yield (start, end, value) of equal neighbours, as shares of the time range."""
    points = line.points
    if not points:
        return
    step = points[1][0] - points[0][0] if len(points) > 1 else 15.0
    span = picture.end - picture.start
    begun = points[0][0]
    for index, (moment, value) in enumerate(points):
        last = index == len(points) - 1
        following = None if last else points[index + 1]
        if following is None or following[1] != value or following[0] - moment > step * 1.5:
            end = moment + (0 if following is None else step)
            yield (
                max(0.0, (begun - picture.start) / span),
                min(1.0, (end - picture.start) / span),
                value,
            )
            begun = following[0] if following else moment


def _chart(picture: Picture, panel: PanelPicture) -> str:
    lines = panel.lines[:MOST_LINES]
    width = panel.place[2] * COLUMN
    finite = [value for line in lines for _, value in line.points if math.isfinite(value)]
    high = max([*finite, 0.0])
    low = min([*finite, 0.0])
    high = _round(high, panel.unit) if high > low else low + 1
    shapes = [*_grid(picture, panel, low, high)]
    for index, line in enumerate(lines):
        color = _HUES[index % len(_HUES)]
        shapes += [
            f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.5">'
            f"<title>{escape(line.name)}</title></path>"
            for path in _paths(picture, line, (low, high), width)
        ]
    legend = "".join(
        f'<li><i style="background:{_HUES[index % len(_HUES)]}"></i><span>{escape(line.name)}'
        f"</span><b>{escape(panel.shown(line.last))}</b></li>"
        for index, line in enumerate(lines)
    )
    return (
        f'<svg viewBox="0 0 {width} {HEIGHT}" role="img">{"".join(shapes)}</svg>'
        f'<ul class="legend">{legend}</ul>{_more(panel)}'
    )


def _grid(picture: Picture, panel: PanelPicture, low: float, high: float) -> Iterator[str]:
    width = panel.place[2] * COLUMN
    for share in (0.0, 0.5, 1.0):
        y = _y(low + share * (high - low), low, high)
        yield f'<line class="axis" x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        value = escape(with_unit(low + share * (high - low), panel.unit))
        yield f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{value}</text>'
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        moment = picture.start + share * (picture.end - picture.start)
        shown = time.strftime("%H:%M", time.localtime(moment))
        x = LEFT + share * (width - LEFT)
        yield f'<text x="{x:.0f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{shown}</text>'
    for bound, color in panel.steps:
        if bound is not None and low < bound <= high:
            y = _y(bound, low, high)
            yield (
                f'<line x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="{_COLORS[color]}" stroke-dasharray="4 3"/>'
            )


def _round(high: float, unit: str) -> float:
    """Return the next number that halves well, in powers of ten, or of two for bytes."""
    if high <= 0:
        return high
    if unit == "bytes":
        return float(2 ** math.ceil(math.log2(high)))
    power = 10.0 ** math.floor(math.log10(high))
    return next((power * step for step in (1, 2, 4, 5, 6, 8) if high <= power * step), power * 10)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (1 - (value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP)


def _paths(picture: Picture, line: Line, bounds: tuple[float, float], width: int) -> Iterator[str]:
    """Yield a path for each stretch without a gap."""
    span = picture.end - picture.start
    gap = 2.5 * (line.points[1][0] - line.points[0][0]) if len(line.points) > 1 else math.inf
    path: list[str] = []
    before = -math.inf
    for moment, value in line.points:
        if path and (not math.isfinite(value) or moment - before > gap):
            yield "".join(path)
            path = []
        if math.isfinite(value):
            x = LEFT + (moment - picture.start) / span * (width - LEFT)
            path.append(f"{'L' if path else 'M'}{x:.1f} {_y(value, *bounds):.1f}")
            before = moment
    if len(path) == 1:
        path.append("h1.5")
    if path:
        yield "".join(path)


def _clipped(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
