"""What all boards share: variables, links, annotations, panels, and where they stand on the grid.

A board module says only what is asked and how it is queried; this module hides the builders of
grafana-foundation-sdk and the house rules (one data source variable, fixed uids, read-only).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from egops.monitoring.runbook import RUNBOOKS, RUNBOOKS_VARIABLE, runbook_command, runbook_url

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAGS = ["envoy-gateway", "egops"]
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
GRID_WIDTH = 24

# one regular expression for all: a series without the label never leaves a panel empty
GATEWAY_LABEL = "gateway_envoyproxy_io_owning_gateway_name"

_BASE = f"${{{RUNBOOKS_VARIABLE}:raw}}"

RATE = "[$__rate_interval]"

Steps = list[tuple[float | None, str]]


@dataclass(frozen=True)
class Query:
    """One PromQL expression of a panel and how its series are named."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: the question it answers, its queries, and what to do when it is red."""

    kind: str
    title: str
    description: str
    queries: Sequence[Query] = ()
    unit: str = "short"
    steps: Steps = field(default_factory=lambda: [(None, GREEN)])
    width: int = 8
    height: int = 7
    mappings: dict[str, tuple[str, str]] = field(default_factory=dict)
    no_value: str = ""
    decimals: int | None = None
    maximum: float | None = None
    columns: dict[str, str] = field(default_factory=dict)
    runbook: str = ""
    stacked: bool = False
    content: str = ""


def counted(metric: str, selector: str, window: str) -> str:
    """Return an expression for how often a lazily born counter counted in a window.

    Such a counter is born as 1, which `increase()` does not see: series that are new in the window
    count with their value, the others with their growth.
    """
    series = f"{metric}{{{selector}}}"
    return (
        f"(sum(increase({series}[{window}]) and {series} offset {window}) or vector(0)) + "
        f"(sum({series} unless {series} offset {window}) or vector(0))"
    )


def born(metric: str, selector: str, by: str) -> str:
    """Return an expression for the first counts of a lazily born counter, at the time of each."""
    series = f"{metric}{{{selector}}}"
    return f"sum by ({by}) ({series} unless {series} offset $__rate_interval)"


def rate_by(by: str, metric: str, selector: str, legend: str = "") -> Query:
    """Return the query for the rate of a counter, summed by labels."""
    return Query(f"sum by ({by}) (rate({metric}{{{selector}}}{RATE}))", legend)


def increase_by(by: str, metric: str, selector: str, legend: str = "") -> Query:
    """Return the query for how often a counter counted in an interval, summed by labels."""
    return Query(f"sum by ({by}) (increase({metric}{{{selector}}}{RATE}))", legend)


def stat_panel(title: str, description: str, *queries: Query, **how: Any) -> Panel:
    """Return a panel with one big number for each series, now."""
    how = {"width": 4, "height": 5} | how
    return Panel(kind="stat", title=title, description=description, queries=queries, **how)


def graph(title: str, description: str, *queries: Query, **how: Any) -> Panel:
    """Return a panel with lines over time."""
    return Panel(kind="timeseries", title=title, description=description, queries=queries, **how)


def table_panel(title: str, description: str, *queries: Query, **how: Any) -> Panel:
    """Return a panel with a row for each series, now."""
    return Panel(kind="table", title=title, description=description, queries=queries, **how)


def timeline(title: str, description: str, *queries: Query, **how: Any) -> Panel:
    """Return a panel with a band of states for each series."""
    return Panel(
        kind="state-timeline", title=title, description=description, queries=queries, **how
    )


def bars(title: str, description: str, *queries: Query, **how: Any) -> Panel:
    """Return a panel with a bar for each series, now."""
    return Panel(kind="bargauge", title=title, description=description, queries=queries, **how)


def note(title: str, content: str, **how: Any) -> Panel:
    """Return a panel with words only."""
    how = {"width": 24, "height": 3} | how
    return Panel(kind="text", title=title, description=title, content=content, **how)


@dataclass(frozen=True)
class Variable:
    """One variable that asks Prometheus for the values of a label."""

    name: str
    label: str
    query: str
    all_value: str = ".+"
    description: str = ""


@dataclass(frozen=True)
class Annotation:
    """One kind of event drawn over the panels."""

    name: str
    expr: str
    color: str
    enabled: bool = True


@dataclass(frozen=True)
class Board:
    """A whole board: rows of panels, each row titled with the question it answers."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    annotations: Sequence[Annotation]
    rows: Sequence[tuple[str, Sequence[Panel]]]

    def build(self) -> model.Dashboard:
        """Return the board as grafana-foundation-sdk's model, ready to encode as JSON."""
        board = (
            build.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(TAGS)
            .timezone("browser")
            .readonly()
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .time("now-6h", "now")
            .refresh("1m")
            .links(_links())
            .annotations([_annotation(annotation) for annotation in self.annotations])
            .variables([_datasource(), *map(_variable, self.variables), _runbooks()])
        )
        number = bottom = 0
        places: list[model.GridPos] = []
        for title, panels in self.rows:
            number += 1
            board.with_row(build.Row(title).id(number))
            places.append(model.GridPos(x=0, y=bottom, w=GRID_WIDTH, h=1))
            row = _places(panels, bottom + 1)
            for panel in panels:
                number += 1
                board.with_panel(_panel(panel, number))
            places += row
            bottom = max(place.y + place.h for place in row)
        built = board.build()
        # NOTE: the builder moves whatever stands at 0,0, so places are given when it is done
        for made, place in zip(built.panels or [], places, strict=True):
            made.grid_pos = place
        return built


def _places(panels: Sequence[Panel], top: int) -> list[model.GridPos]:
    """Return where the panels of one row stand, from left to right, then below."""
    places, x, y, tallest = [], 0, top, 0
    for panel in panels:
        if x + panel.width > GRID_WIDTH:
            x, y, tallest = 0, y + tallest, 0
        places.append(model.GridPos(x=x, y=y, w=panel.width, h=panel.height))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return places


def _links() -> list[Any]:
    others = (
        build.DashboardLink("Envoy Gateway boards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags(TAGS)
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .tooltip("The other boards, with the same time range")
    )
    runbooks = (
        build.DashboardLink("Runbooks")
        .type(model.DashboardLinkType.LINK)
        .url(_BASE)
        .icon("doc")
        .target_blank(True)
        .tooltip("What each alert means; `egops alerts runbook` prints the same pages")
    )
    return [others, runbooks]


def _datasource() -> build.DatasourceVariable:
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _runbooks() -> build.TextBoxVariable:
    chosen = model.VariableOption(selected=True, text=RUNBOOKS, value=RUNBOOKS)
    return (
        build.TextBoxVariable(RUNBOOKS_VARIABLE)
        .label("Runbooks at")
        .description("Where your team serves the runbook pages; `egops alerts runbook` prints them")
        .default_value(RUNBOOKS)
        .current(chosen)
        .options([chosen])
    )


def _variable(variable: Variable) -> build.QueryVariable:
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    return (
        build.QueryVariable(variable.name)
        .label(variable.label)
        .description(variable.description)
        .datasource(SOURCE)
        .query(variable.query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(variable.all_value)
        .current(everything)
    )


def _annotation(annotation: Annotation) -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name(annotation.name)
        .datasource(SOURCE)
        .expr(annotation.expr)
        .icon_color(annotation.color)
        .enable(annotation.enabled)
    )


def _panel(panel: Panel, number: int) -> Any:
    if panel.kind == "text":
        words = text.Panel().mode(TextMode.MARKDOWN).content(panel.content)
        return words.id(number).title(panel.title).description(panel.description)
    made: Any = _MAKERS[panel.kind](panel)
    made = (
        made.id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .thresholds(_thresholds(panel.steps))
        .targets([_target(panel, query, index) for index, query in enumerate(panel.queries)])
    )
    if panel.mappings:
        made.mappings([_mapping(panel.mappings)])
    if panel.no_value:
        made.no_value(panel.no_value)
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    if panel.runbook:
        made.links([_runbook(panel.runbook)])
    return made


def _runbook(alert: str) -> build.DashboardLink:
    link = build.DashboardLink(runbook_command(alert)).type(model.DashboardLinkType.LINK)
    return link.url(runbook_url(alert, base=_BASE)).target_blank(True)


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _mapping(mappings: dict[str, tuple[str, str]]) -> model.ValueMap:
    options = {
        value: model.ValueMappingResult(text=shown, color=color, index=index)
        for index, (value, (shown, color)) in enumerate(mappings.items())
    }
    return model.ValueMap(options=options)


def _target(panel: Panel, query: Query, index: int) -> Dataquery:
    target = Dataquery().expr(query.expr).ref_id(chr(ord("A") + index)).datasource(SOURCE)
    if panel.kind in {"timeseries", "state-timeline"}:
        return target.range().legend_format(query.legend or "__auto")
    target = target.instant().legend_format(query.legend or "__auto")
    return target.format(PromQueryFormat.TABLE) if panel.kind == "table" else target


def _stat(_: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .text_mode(common.BigValueTextMode.AUTO)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _graph(panel: Panel) -> timeseries.Panel:
    legend = (
        common_builder.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
        .show_legend(True)
    )
    tooltip = common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    style = common_builder.GraphThresholdsStyleConfig()
    made = (
        timeseries.Panel()
        .legend(legend)
        .tooltip(tooltip.sort(common.SortOrder.DESCENDING))
        .line_width(1)
        .fill_opacity(20 if panel.stacked else 8)
        .show_points(common.VisibilityMode.AUTO)
        .axis_soft_min(0)
    )
    if panel.stacked:
        made.stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL))
    if len(panel.steps) > 1:
        made.thresholds_style(style.mode(common.GraphTresholdsStyleMode.DASHED))
    if panel.maximum is not None:
        made.axis_soft_max(panel.maximum)
    return made


def _table(panel: Panel) -> table.Panel:
    hidden = {"Time": True, "__name__": True}
    rename = panel.columns | {"Value": panel.columns.get("Value", "Value")}
    organize = model.DataTransformerConfig(
        id_val="organize",
        options={"excludeByName": hidden, "indexByName": {}, "renameByName": rename},
    )
    colored = model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"})
    return (
        table.Panel()
        .with_transformation(organize)
        .cell_height(common.TableCellHeight.SM)
        .override_by_name(rename["Value"], [colored])
    )


def _timeline(_: Panel) -> statetimeline.Panel:
    return statetimeline.Panel().show_value(common.VisibilityMode.NEVER).row_height(0.8)


def _bars(panel: Panel) -> bargauge.Panel:
    made = (
        bargauge.Panel()
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]))
        .min(0)
    )
    return made if panel.maximum is None else made.max(panel.maximum)


_MAKERS = {
    "stat": _stat,
    "timeseries": _graph,
    "table": _table,
    "state-timeline": _timeline,
    "bargauge": _bars,
}
