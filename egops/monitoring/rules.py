"""Render the catalogue into Prometheus rule groups, for a profile and a set of values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from egops.monitoring.catalogue import Alert, Record
from egops.monitoring.catalogue.registry import GROUPS
from egops.monitoring.runbook import runbook_command, runbook_url

if TYPE_CHECKING:
    from egops.monitoring.catalogue import Group
    from egops.monitoring.values import Values

Profile = Literal["default", "full"]
PROFILES: tuple[Profile, ...] = ("default", "full")
_MARK = re.compile(r"<([a-z_]+(?:\.[a-z_]+)?)>")


def rule_groups(values: Values, *, profile: Profile = "default") -> list[dict[str, Any]]:
    """Return the groups of a Prometheus rule file, plain data, empty groups left out."""
    groups = [_group(group, values, profile) for group in GROUPS]
    return [group for group in groups if group["rules"]]


def selected(values: Values, *, profile: Profile = "default") -> list[Alert]:
    """Return the alerts of a profile that are not switched off, in order."""
    return [
        rule
        for group in GROUPS
        for rule in group.rules
        if isinstance(rule, Alert) and _wanted(rule, values, profile)
    ]


def fill(text: str, values: Values) -> str:
    """Return an expression or sentence with its marks replaced by values."""
    match = values.text("match")
    text = text.replace(",<match>", f",{match}" if match else "")
    text = text.replace("{<match>}", f"{{{match}}}" if match else "")
    return _MARK.sub(lambda mark: values.text(mark[1]), text)


def _wanted(rule: Alert, values: Values, profile: Profile) -> bool:
    return (profile == "full" or rule.default) and rule.name not in values.disabled


def _group(group: Group, values: Values, profile: Profile) -> dict[str, Any]:
    rules = [
        _record(rule, values) if isinstance(rule, Record) else _alert(rule, values)
        for rule in group.rules
        if isinstance(rule, Record) or _wanted(rule, values, profile)
    ]
    return {"name": group.name, "interval": group.interval, "rules": rules}


def _record(rule: Record, values: Values) -> dict[str, Any]:
    made: dict[str, Any] = {"record": rule.name, "expr": fill(rule.expr, values)}
    return made | ({"labels": dict(rule.labels)} if rule.labels else {})


def _alert(rule: Alert, values: Values) -> dict[str, Any]:
    severity = values.severity.get(rule.name, rule.severity)
    hold = values.hold.get(rule.name, rule.hold)
    return {
        "alert": rule.name,
        "expr": fill(rule.expr, values),
        **({} if hold in {"0", "0s"} else {"for": hold}),
        "labels": {"severity": severity, "egops_code": rule.code, **values.labels},
        "annotations": {
            "summary": rule.summary,
            "description": fill(rule.description, values),
            "runbook": runbook_command(rule.name),
            "runbook_url": runbook_url(rule.name, base=values.text("runbooks.base")),
        },
    }
