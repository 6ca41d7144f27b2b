"""The shipped boards: importable, current, sound by the rules of dashboard-linter, complete."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from egops.monitoring.catalogue.registry import ALERTS
from egops.monitoring.shipped import boards
from tests.monitoring import lint

ROOT = Path(__file__).resolve().parents[2]
BOARDS = {path.stem: path for path in sorted((ROOT / "dashboards").glob("*.json"))}
EXCLUSIONS = yaml.safe_load((ROOT / "dashboards" / ".lint").read_text("utf-8"))["exclusions"]


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(BOARDS[name].read_text("utf-8"))
    return loaded


def faults(name: str, rule: str) -> list[tuple[str, str, str]]:
    """Return (board, panel, fault) of a rule on a board."""
    board = load(name)
    return [(board["title"], fault.partition(": ")[0], fault) for fault in lint.RULES[rule](board)]


def excluded(rule: str, title: str, panel: str) -> bool:
    exclusion = EXCLUSIONS.get(rule)
    if exclusion is None:
        return False
    entries = exclusion.get("entries")
    return entries is None or {"dashboard": title, "panel": panel} in entries


def test_there_are_five_boards() -> None:
    assert set(BOARDS) == {"control-plane", "xds", "proxies", "certs", "ratelimit"}


def test_the_files_are_what_the_generator_writes() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.dashboards", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("rule", lint.RULES)
@pytest.mark.parametrize("name", BOARDS)
def test_a_board_keeps_the_linters_rule(name: str, rule: str) -> None:
    found = [
        fault for title, panel, fault in faults(name, rule) if not excluded(rule, title, panel)
    ]

    assert found == []


def test_every_exclusion_is_needed_and_has_a_reason() -> None:
    for rule, exclusion in EXCLUSIONS.items():
        found = {(title, panel) for name in BOARDS for title, panel, _ in faults(name, rule)}

        assert exclusion["reason"]
        assert found
        for entry in exclusion.get("entries", []):
            assert (entry["dashboard"], entry["panel"]) in found


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_survives_grafanas_model(name: str) -> None:
    board = load(name)

    assert Dashboard.from_json(dict(board)).uid == board["uid"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_can_be_imported_by_hand(name: str) -> None:
    board = load(name)

    assert board["id"] is None
    assert "__inputs" not in board
    assert "version" not in board
    assert len(board["uid"]) <= 40
    assert board["schemaVersion"] <= 39
    assert board["tags"] == ["envoy-gateway", "egops"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap_and_stay_on_the_grid(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in load(name)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_line_of_panels_is_full_and_even(name: str) -> None:
    lines: dict[int, list[dict[str, Any]]] = {}
    for panel in load(name)["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel)

    for line in lines.values():
        titles = [panel["title"] for panel in line]
        assert sum(panel["gridPos"]["w"] for panel in line) == 24, titles
        assert len({panel["gridPos"]["h"] for panel in line}) == 1, titles


@pytest.mark.parametrize("name", BOARDS)
def test_ids_of_panels_are_unique_and_every_row_asks_a_question(name: str) -> None:
    panels = load(name)["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"].endswith("?") for panel in panels if panel["type"] == "row")


@pytest.mark.parametrize("name", BOARDS)
def test_runbook_links_lead_to_pages_that_exist(name: str) -> None:
    links = [link["url"] for panel in load(name)["panels"] for link in panel.get("links") or []]

    assert links
    for link in links:
        alert = link.rpartition("/")[2].removesuffix(".md")
        assert alert in ALERTS
        assert link == f"${{runbooks:raw}}/{alert}.md"
        assert (ROOT / "docs" / "runbooks" / f"{alert}.md").is_file()


def test_the_value_of_where_the_runbooks_are_reaches_every_board() -> None:
    given = boards(runbooks_at="https://wiki.example/runbooks")

    assert set(given) == set(BOARDS)
    for name, board in given.items():
        variable = lint.variables(board)["runbooks"]
        assert variable["type"] == "textbox"
        assert variable["query"] == "https://wiki.example/runbooks"
        assert variable["current"]["value"] == "https://wiki.example/runbooks"
        assert lint.variables(load(name))["runbooks"]["current"]["value"] == "docs/runbooks"


@pytest.mark.parametrize("name", BOARDS)
def test_annotations_parse(name: str) -> None:
    annotations = load(name)["annotations"]["list"]

    assert annotations
    for annotation in annotations:
        promql_parser.parse(lint.expanded(annotation["expr"]))


@pytest.mark.parametrize("name", BOARDS)
def test_a_query_uses_only_variables_that_the_board_has(name: str) -> None:
    board = load(name)
    known = {*lint.variables(board), "__rate_interval", "__range", "__interval"}
    text = [expr for _, expr in lint.targets(board)]
    text += [annotation["expr"] for annotation in board["annotations"]["list"]]
    text += [v["query"] for v in board["templating"]["list"]]

    used = {name for part in text for name in re.findall(r"\$\{?(\w+)", part)}

    assert used - {"1"} <= known


BROKEN = {
    "template-datasource-rule": lambda b: b["templating"]["list"].pop(0),
    "template-job-rule": lambda b: b["templating"]["list"][1].update(allValue=".*"),
    "template-label-promql-rule": lambda b: b["templating"]["list"][1].update(
        query="label_values(up{, job)"
    ),
    "template-on-time-change-reload-rule": lambda b: b["templating"]["list"][1].update(refresh=1),
    "panel-datasource-rule": lambda b: b["panels"][1].update(datasource={"uid": "abc"}),
    "panel-title-description-rule": lambda b: b["panels"][1].update(description=""),
    "panel-units-rule": lambda b: b["panels"][1]["fieldConfig"]["defaults"].pop("unit"),
    "panel-no-targets-rule": lambda b: b["panels"][1].update(targets=[]),
    "target-promql-rule": lambda b: b["panels"][1]["targets"][0].update(expr="sum(up"),
    "target-logql-rule": lambda b: b["panels"][1]["targets"][0]["datasource"].update(type="loki"),
    "target-rate-interval-rule": lambda b: b["panels"][1]["targets"][0].update(
        expr='sum(rate(a_total{job=~"$job"}[5m]))'
    ),
    "target-counter-agg-rule": lambda b: b["panels"][1]["targets"][0].update(expr="sum(a_total)"),
    "uneditable-dashboard": lambda b: b.update(editable=True),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_lint_bites(rule: str) -> None:
    board = load("certs")
    before = list(lint.RULES[rule](board))

    BROKEN[rule](board)

    assert len(list(lint.RULES[rule](board))) > len(before)
