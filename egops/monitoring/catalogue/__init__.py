"""Every alert and recording rule that egops ships, as data; thresholds are values, not text.

An expression is PromQL with two kinds of marks: `<key>` stands for a value of that key (see
`egops.monitoring.values`) and `<match>` inside braces for the user's extra label matchers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert: when it fires, how loud, and which doctor check explains it.

    `hold` is the `for` of the rule. `since` is the Envoy Gateway release whose metrics it needs.
    `default` says whether the small profile has it.
    """

    name: str
    expr: str
    hold: str
    severity: Severity
    summary: str
    description: str
    code: str
    default: bool = False
    since: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One recording rule; always shipped, because alerts and boards stand on it."""

    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules about one concern, evaluated together and in order."""

    name: str
    rules: tuple[Alert | Record, ...]
    interval: str = "30s"


def first_or_more(metric: str, by: str, window: str, selector: str = "") -> str:
    """Return an expression for "a lazily born counter has counted in the window".

    The first event of such a counter makes the series appear with the value 1, so `increase()`
    alone says 0. The second half asks for series that exist now and did not one window ago,
    series by series, so that the first event of a second replica is seen too.
    """
    braces = f"{{{selector},<match>}}" if selector else "{<match>}"
    return (
        f"(sum by ({by}) (increase({metric}{braces}[{window}])) > 0)\n"
        "or\n"
        f"(sum by ({by}) ({metric}{braces} unless {metric}{braces} offset {window}) > 0)"
    )
