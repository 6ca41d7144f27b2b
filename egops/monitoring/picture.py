"""A board with its data read: what the terminal and the page draw. Reading is here, drawing not."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.errors import EgopsError, InputError
from egops.monitoring.promql import expand
from egops.monitoring.questions import variables
from egops.monitoring.shipped import boards, runbooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from egops.monitoring.prometheus import Prometheus, Series

POINTS = 120  # on a line
OVER_TIME = frozenset({"timeseries", "state-timeline"})


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel: its name, its labels, its points, oldest first."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """Return the newest value that is a number, NaN if none is."""
        values = (value for _, value in reversed(self.points) if not math.isnan(value))
        return next(values, math.nan)


@dataclass(frozen=True)
class PanelPicture:
    """One panel with its data. `error` is a clause when a query was refused."""

    title: str
    description: str
    kind: str
    unit: str
    decimals: int | None
    steps: tuple[tuple[float | None, str], ...]
    mappings: Mapping[str, tuple[str, str]]
    place: tuple[int, int, int, int]  # x, y, width, height on a grid of 24 columns
    lines: tuple[Line, ...]
    columns: Mapping[str, str]
    no_value: str
    runbook: str  # the name of the alert
    content: str = ""
    error: str = ""

    def color(self, value: float) -> str:
        """Return the name of the colour that the thresholds give a value."""
        mapped = self.mappings.get(f"{value:g}")
        if mapped is not None:
            return mapped[1]
        chosen = self.steps[0][1] if self.steps else "green"
        for bound, color in self.steps:
            if bound is not None and value >= bound:
                chosen = color
        return chosen

    def shown(self, value: float) -> str:
        """Return a value with its unit, or the word that is mapped to it."""
        mapped = self.mappings.get(f"{value:g}")
        return mapped[0] if mapped is not None else with_unit(value, self.unit, self.decimals)


@dataclass(frozen=True)
class Picture:
    """A board with its data: rows of panels, and the time range in Unix seconds."""

    name: str
    title: str
    description: str
    source: str
    start: float
    end: float
    rows: tuple[tuple[str, tuple[PanelPicture, ...]], ...]
    runbooks: Mapping[str, str] = field(default_factory=dict)  # Markdown, by alert, as linked


def read_board(
    name: str,
    prometheus: Prometheus,
    *,
    now: float,
    seconds: float,
    given: Mapping[str, str] | None = None,
) -> Picture:
    """Ask every query of a board. A refused query is told in its panel; no answer at all raises."""
    if seconds < POINTS:
        raise InputError(
            f"a range of {seconds:g} s is too short to draw", hint="such as --range 1h"
        )
    board = boards((name,))[name.removeprefix("egops-")]
    reader = _Reader(prometheus, now - seconds, now, variables(board, given))
    rows: list[tuple[str, list[PanelPicture]]] = []
    for panel in board["panels"]:
        if panel["type"] == "row":
            rows.append((panel["title"], []))
        else:
            rows[-1][1].append(reader.panel(panel))
    return Picture(
        name=name,
        title=board["title"],
        description=board["description"],
        source=prometheus.name,
        start=now - seconds,
        end=now,
        rows=tuple((title, tuple(panels)) for title, panels in rows),
        runbooks=_linked([panel for _, panels in rows for panel in panels]),
    )


def _linked(panels: Sequence[PanelPicture]) -> dict[str, str]:
    pages = runbooks()
    return {
        alert: pages[alert] for alert in sorted({panel.runbook for panel in panels} & set(pages))
    }


@dataclass
class _Reader:
    prometheus: Prometheus
    start: float
    end: float
    values: dict[str, str]
    answered: bool = False

    def panel(self, panel: dict[str, Any]) -> PanelPicture:
        lines: list[Line] = []
        error = ""
        try:
            for target in panel.get("targets") or []:
                lines += self._lines(panel["type"], target)
        except EgopsError as exc:
            # a query that is refused is told in its panel; who refuses us refuses every query
            if not isinstance(exc, InputError) and not self.answered:
                raise
            error = exc.message
        return _picture(panel, tuple(lines), error)

    def _lines(self, kind: str, target: dict[str, Any]) -> Iterator[Line]:
        expr = expand(target["expr"], self.values)
        if kind in OVER_TIME:
            step = max(15.0, math.ceil((self.end - self.start) / POINTS))
            found = self.prometheus.query_range(expr, start=self.start, end=self.end, step=step)
        else:
            found = self.prometheus.query(expr)
        self.answered = True
        for series in found:
            if all(math.isnan(value) for _, value in series.points):
                continue  # a quotient of nothing by nothing: no traffic
            yield Line(legend(target.get("legendFormat", ""), series), series.labels, series.points)


def legend(pattern: str, series: Series) -> str:
    """Return the name of a series as Grafana's legend format gives it."""
    if pattern and pattern != "__auto":
        named = re.sub(
            r"\{\{\s*(\w+)\s*\}\}", lambda found: series.labels.get(found[1], ""), pattern
        )
        return " ".join(named.split()) or "all"
    kept = (f"{key}={value}" for key, value in sorted(series.labels.items()) if key != "__name__")
    return " ".join(kept) or "value"


def _picture(panel: dict[str, Any], lines: tuple[Line, ...], error: str) -> PanelPicture:
    place = panel["gridPos"]
    defaults = (panel.get("fieldConfig") or {}).get("defaults") or {}
    mapped: dict[str, tuple[str, str]] = {}
    for mapping in defaults.get("mappings") or []:
        for value, result in (mapping.get("options") or {}).items():
            mapped[value] = (str(result.get("text", value)), str(result.get("color", "green")))
    steps = ((defaults.get("thresholds") or {}).get("steps")) or []
    links = panel.get("links") or []
    return PanelPicture(
        title=panel["title"],
        description=panel.get("description", ""),
        kind=panel["type"],
        unit=defaults.get("unit", "short"),
        decimals=defaults.get("decimals"),
        steps=tuple((step.get("value"), step["color"]) for step in steps),
        mappings=mapped,
        place=(place["x"], place["y"], place["w"], place["h"]),
        lines=lines,
        columns=_renamed(panel),
        no_value=defaults.get("noValue") or "no data",
        runbook=links[0]["url"].rpartition("/")[2].removesuffix(".md") if links else "",
        content=(panel.get("options") or {}).get("content", ""),
        error=error,
    )


def _renamed(panel: dict[str, Any]) -> dict[str, str]:
    for transformation in panel.get("transformations") or []:
        if transformation.get("id") == "organize":
            return dict(transformation["options"].get("renameByName") or {})
    return {}


_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "bytes": ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
    "s": ((86400, " d"), (3600, " h"), (60, " min"), (1, " s"), (0.001, " ms"), (1e-6, " µs")),
    "ms": ((60000, " min"), (1000, " s"), (1, " ms"), (0.001, " µs")),
    "short": ((1e9, " G"), (1e6, " M"), (1e3, " k"), (1, "")),
    "none": ((1, ""),),
    "reqps": ((1000, "k req/s"), (1, " req/s")),
    "ops": ((1000, "k ops/s"), (1, " ops/s")),
    "d": ((1, " d"),),
    "percent": ((1, " %"),),
}


def with_unit(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit in few characters; NaN and infinities in words."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "percentunit":
        return f"{_number(value * 100, decimals)} %"
    scale, suffix = _SCALES.get(unit, _SCALES["short"])[-1]
    for size, word in _SCALES.get(unit, _SCALES["short"]):
        if abs(value) >= size:
            scale, suffix = size, word
            break
    if value == 0:
        scale, suffix = next(pair for pair in _SCALES.get(unit, _SCALES["short"]) if pair[0] == 1)
    return f"{_number(value / scale, decimals)}{suffix}"


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
