"""promtool unit tests from the compact cases in tests/alerts/cases; used by tools/alerts.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from egops.monitoring.rulefile import to_yaml
from egops.monitoring.rules import rule_groups
from egops.monitoring.values import values

CASES = Path(__file__).resolve().parent.parent / "tests" / "alerts" / "cases"
_WITH = re.compile(r"\{\{ with \$labels\.(\w+) \}\}(.*?)\{\{ \. \}\}(.*?)\{\{ end \}\}")
_MARK = re.compile(r"\{\{ \$(labels\.)?(\w+)(?: \| \w+)? \}\}")


def cases() -> dict[str, list[dict[str, Any]]]:
    """Return the cases of every alert, by its name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(CASES.glob("*.yaml")):
        found |= yaml.safe_load(path.read_text("utf-8"))
    return found


def test_file(alert: str, of_alert: list[dict[str, Any]]) -> str:
    """Return the text of a promtool test file: labels and annotations in full."""
    rules = _alert_rules()
    made = {
        "rule_files": ["../full.yaml"],
        # no oftener than samples arrive: a case of seven hours would take ten seconds else
        "evaluation_interval": max(
            (case.get("interval", "30s") for case in of_alert), key=("30s", "1m", "5m").index
        ),
        "tests": [_test(rules[alert], case) for case in of_alert],
    }
    return f"# Written by tools/alerts.py from tests/alerts/cases.\n{to_yaml(made)}"


def _alert_rules() -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for group in rule_groups(values(), profile="full")
        for rule in group["rules"]
        if "alert" in rule
    }


def _test(rule: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": case["case"],
        "interval": case.get("interval", "30s"),
        "input_series": [{"series": name, "values": text} for name, text in case["series"]],
        "alert_rule_test": [
            {
                "eval_time": expect["at"],
                "alertname": rule["alert"],
                "exp_alerts": [
                    _expected(rule, labels, str(expect.get("value", "")))
                    for labels in expect["firing"]
                ],
            }
            for expect in case["expect"]
        ],
    }


def _expected(rule: dict[str, Any], labels: dict[str, str], value: str) -> dict[str, Any]:
    def replaced(mark: re.Match[str]) -> str:
        return str(labels.get(mark[2], "")) if mark[1] else value

    def optional(found: re.Match[str]) -> str:
        return f"{found[2]}{labels[found[1]]}{found[3]}" if labels.get(found[1]) else ""

    return {
        "exp_labels": {**labels, **rule["labels"]},
        "exp_annotations": {
            key: _MARK.sub(replaced, _WITH.sub(optional, text))
            for key, text in rule["annotations"].items()
        },
    }
