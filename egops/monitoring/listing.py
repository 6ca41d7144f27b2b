"""Alerts and values as rows and tables; the state of alerts with doctor's findings beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.errors import EgopsError
from egops.monitoring.values import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egops.gather import SourceOptions
    from egops.monitoring.catalogue import Alert
    from egops.monitoring.prometheus import Prometheus
    from egops.monitoring.values import Values

Row = dict[str, Any]
_ORDER = {"firing": 0, "pending": 1, "not loaded": 2, "inactive": 3}


def alert_rows(alerts: Iterable[Alert], values: Values) -> list[Row]:
    """Return a row for each alert, with the user's severity and `for`."""
    return [
        {
            "alert": alert.name,
            "severity": values.severity.get(alert.name, alert.severity),
            "for": values.hold.get(alert.name, alert.hold),
            "code": alert.code,
            "needs": alert.needs or (f"Envoy Gateway {alert.since}" if alert.since else ""),
            "summary": alert.summary,
        }
        for alert in alerts
    ]


def alert_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table."""
    return _table(rows, ("alert", "severity", "for", "code", "needs", "summary"))


def value_rows(values: Values) -> list[Row]:
    """Return a row for each value that can be set."""
    return [
        {"value": key, "now": values.settings[key], "default": setting.default,
         "meaning": setting.meaning}
        for key, setting in SETTINGS.items()
    ]  # fmt: skip


def value_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table, and what else can be set."""
    more = (
        "\nseverity.ALERT, for.ALERT, labels.NAME and disabled (a list of alerts) can be set too."
    )
    return _table(rows, ("value", "now", "meaning")) + more


def states(alerts: Sequence[Alert], prometheus: Prometheus, source: SourceOptions) -> list[Row]:
    """Return a row for each alert with its state in Prometheus, loudest first.

    Raises EgopsError when Prometheus has no rules API.
    """
    groups = prometheus.rule_groups()
    if groups is None:
        raise EgopsError(f"{prometheus.name} has no rules API, so no state is known")
    loaded = {
        rule["name"]: rule for group in groups for rule in group.get("rules") or []
        if rule.get("type") == "alerting"
    }  # fmt: skip
    rows = [_state_row(alert, loaded.get(alert.name)) for alert in alerts]
    codes = {row["code"] for row in rows if row["state"] == "firing"}
    said = findings(codes, source) if codes else {}
    for row in rows:
        row["doctor"] = said.get(row["code"], []) if row["state"] == "firing" else []
    return sorted(rows, key=lambda row: (_ORDER.get(row["state"], 9), row["alert"]))


def _state_row(alert: Alert, rule: dict[str, Any] | None) -> Row:
    active = (rule or {}).get("alerts") or []
    hidden = {"alertname", "severity", "egops_code"}
    return {
        "alert": alert.name,
        "state": (rule or {}).get("state", "inactive") if rule else "not loaded",
        "code": alert.code,
        "instances": [
            {key: value for key, value in (one.get("labels") or {}).items() if key not in hidden}
            for one in active
        ],
        "error": (rule or {}).get("lastError", ""),
    }


def findings(codes: set[str], source: SourceOptions) -> dict[str, list[str]]:
    """Return what doctor's checks of these codes say, by code; why not, if they cannot."""
    from egops.engine import run  # noqa: PLC0415 - only when something fires
    from egops.gather import Quiet, Wanted, gather  # noqa: PLC0415 - as above
    from egops.rules.registry import doctor_rules  # noqa: PLC0415 - as above

    rules = [rule for rule in doctor_rules() if rule.code in codes]
    try:
        report = run(rules, gather(source, Wanted.by(rules), Quiet()))
    except EgopsError as exc:
        return {code: [f"doctor was not asked: {exc.message}"] for code in codes}
    said: dict[str, list[str]] = {}
    for finding in report.findings:
        said.setdefault(finding.code, []).append(f"{finding.at.ref}: {finding.problem.message}")
    for skip in report.skipped:
        said.setdefault(skip.code, []).append(f"skipped: {skip.reason}")
    known = {rule.code for rule in rules}
    for code in codes - said.keys():
        said[code] = ["doctor finds nothing now" if code in known else "doctor has no such check"]
    return said


def state_table(rows: Sequence[Row]) -> str:
    """Return states as lines: the alert, who is concerned, what doctor says."""
    lines = []
    for row in rows:
        lines.append(f"{row['state']:<11}{row['alert']}  ({row['code']})")
        for labels in row["instances"]:
            shown = " ".join(f"{key}={value}" for key, value in sorted(labels.items()))
            lines.append(f"           {shown or '(no labels)'}")
        if row["error"]:
            lines.append(f"           error: {row['error']}")
        lines += [f"           doctor: {text}" for text in row["doctor"]]
    return "\n".join(lines)


def _table(rows: Sequence[Row], columns: tuple[str, ...]) -> str:
    texts = [[str(row[column]) for column in columns] for row in rows]
    head = [column.upper() for column in columns]
    widths = [max(len(line[index]) for line in [head, *texts]) for index in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *texts]
    ]
    return "\n".join(lines)
