"""The queries of boards and alerts, each with the place where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.monitoring.promql import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from egops.monitoring.shipped import Board

RANGE = "5m"  # what $__rate_interval becomes outside of Grafana


@dataclass(frozen=True, slots=True)
class Question:
    """One query: `where` is the board or rule group, `what` the panel or alert, `part` its letter.

    `alert` says that an empty answer is the normal one.
    """

    where: str
    what: str
    part: str
    expr: str
    alert: bool = False


def variables(board: Board, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a value for every variable of a board: the given one, else what All means."""
    found = {
        variable["name"]: str(variable.get("allValue") or ".+")
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    }
    built_in = {"__rate_interval": RANGE, "__interval": "1m", "__range": "6h"}
    chosen = {name: _quoted(value) for name, value in (given or {}).items()}
    return found | built_in | chosen


def _quoted(value: str) -> str:
    """Return a value as it stands between the quotes of a matcher."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def parse_variables(given: Sequence[str]) -> dict[str, str]:
    """Return `NAME=VALUE` texts as a mapping. Raises InputError for one without `=`."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--var {text} has no value", hint="write --var NAME=VALUE")
        found[name] = value
    return found


def board_questions(
    name: str, board: Board, given: Mapping[str, str] | None = None
) -> Iterator[Question]:
    """Yield the queries of a board's panels and annotations, variables replaced."""
    values = variables(board, given)
    for panel in board["panels"]:
        for target in panel.get("targets") or []:
            yield Question(name, panel["title"], target["refId"], expand(target["expr"], values))
    for annotation in board["annotations"]["list"]:
        expr = expand(annotation["expr"], values)
        yield Question(name, f"annotation {annotation['name']}", "", expr)


def rule_questions(groups: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    """Yield the expressions of rule groups; those of alerts are marked."""
    for group in groups:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            yield Question(group["name"], name, "", rule["expr"], alert="alert" in rule)
