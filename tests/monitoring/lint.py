"""The rules of grafana/dashboard-linter that concern our boards, as functions that name faults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import promql_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Board = dict[str, Any]
    Lint = Callable[[Board], Iterator[str]]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RANGE_FUNCTIONS = {"rate", "irate", "increase"}


def panels(board: Board) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] not in {"row", "text"})


def targets(board: Board) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def expanded(expr: str) -> str:
    expr = expr.replace("$__rate_interval", "5m").replace("$__range", "1h")
    expr = expr.replace("$__interval", "1m")
    return re.sub(r"\$\w+", ".+", expr)


def variables(board: Board) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def selectors(expr: str) -> list[str]:
    """Return the text inside the braces of every selector; braces of regular expressions aren't."""
    return [found for found in re.findall(r"\{([^{}]*)\}", expr) if "=" in found]


def template_datasource_rule(board: Board) -> Iterator[str]:
    variable = variables(board).get("datasource")
    if variable is None or variable["type"] != "datasource" or variable["query"] != "prometheus":
        yield "there is no data source variable for Prometheus"
    elif variable.get("label") != "Data source":
        yield "the data source variable is not labelled 'Data source'"


def _label_variable(board: Board, name: str) -> Iterator[str]:
    variable = variables(board).get(name)
    if variable is None:
        yield f"there is no variable {name}"
        return
    if variable["type"] != "query" or not variable["multi"]:
        yield f"variable {name} is not a query with several values"
    if variable.get("allValue") != ".+":
        yield f"variable {name} has another allValue than .+"


def template_job_rule(board: Board) -> Iterator[str]:
    yield from _label_variable(board, "job")


def template_instance_rule(board: Board) -> Iterator[str]:
    yield from _label_variable(board, "instance")


def template_label_promql_rule(board: Board) -> Iterator[str]:
    for name, variable in variables(board).items():
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"], re.DOTALL)
        if found is None:
            yield f"variable {name} is not label_values(selector, label)"
            continue
        try:
            promql_parser.parse(expanded(found[1]))
        except ValueError as exc:
            yield f"variable {name}: {exc}"


def template_on_time_change_reload_rule(board: Board) -> Iterator[str]:
    for name, variable in variables(board).items():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield f"variable {name} is not refreshed when the time range changes"


def panel_datasource_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        if any(source != SOURCE for source in sources):
            yield f"{panel['title']}: not the data source of the variable"


def panel_title_description_rule(board: Board) -> Iterator[str]:
    for panel in board["panels"]:
        if panel["type"] != "row" and not (panel.get("title") and panel.get("description")):
            yield f"panel {panel['id']} has no title or no description"


def panel_units_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{panel['title']} has no unit"


def panel_no_targets_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("targets"):
            yield f"{panel['title']} asks nothing"


def target_promql_rule(board: Board) -> Iterator[str]:
    for title, expr in targets(board):
        try:
            promql_parser.parse(expanded(expr))
        except ValueError as exc:
            yield f"{title}: {exc}"


def target_logql_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if any(target["datasource"]["type"] == "loki" for target in panel["targets"]):
            yield f"{panel['title']} asks Loki, which we do not ship for"


def target_rate_interval_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        for target in panel["targets"]:
            for function, window in _windows(target["expr"]):
                if target.get("instant") and re.fullmatch(r"1h(:1m)?|24h|\$__range", window):
                    continue
                if not window.startswith("$__rate_interval"):
                    yield f"{panel['title']}: {function} over [{window}]"


def _windows(expr: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\b(rate|irate|increase)\(", expr):
        depth, position = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(expr[position], 0)
            position += 1
        window = re.findall(r"\[([^\]]+)\]", expr[found.end() : position])
        yield found[1], window[-1] if window else ""


def _matcher(board: Board, label: str) -> Iterator[str]:
    for title, expr in targets(board):
        for selector in selectors(expr):
            if f'{label}=~"${label}"' not in selector:
                yield f"{title}: {selector}"


def target_job_rule(board: Board) -> Iterator[str]:
    yield from _matcher(board, "job")


def target_instance_rule(board: Board) -> Iterator[str]:
    yield from _matcher(board, "instance")


def target_counter_agg_rule(board: Board) -> Iterator[str]:
    for title, expr in targets(board):
        for found in re.finditer(r"(\w+\()?\s*([a-z_:]\w*_total)\b", expr):
            if (found[1] or "").rstrip("(") not in RANGE_FUNCTIONS:
                yield f"{title}: {found[2]} is not inside rate or increase"


def uneditable_dashboard(board: Board) -> Iterator[str]:
    if board.get("editable") is not False:
        yield "the board can be edited, so changes would be lost"


RULES: dict[str, Lint] = {
    function.__name__.replace("_", "-"): function
    for function in (
        template_datasource_rule,
        template_job_rule,
        template_instance_rule,
        template_label_promql_rule,
        template_on_time_change_reload_rule,
        panel_datasource_rule,
        panel_title_description_rule,
        panel_units_rule,
        panel_no_targets_rule,
        target_promql_rule,
        target_logql_rule,
        target_rate_interval_rule,
        target_job_rule,
        target_instance_rule,
        target_counter_agg_rule,
        uneditable_dashboard,
    )
}
