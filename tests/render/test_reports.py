"""Every renderer shows every kind of thing a report can hold."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from msgspec import structs

import egops
from egops.finding import Crash, Finding, Folded, Problem, Report, Severity, Skip, Suppressed
from egops.gatewayapi import GATEWAY, HTTP_ROUTE
from egops.render import Terminal, renderer
from egops.snapshot import Broken, Origin, Source, SourceType
from tests.making import resource

SCHEMA = json.loads((Path(egops.__file__).parent / "schema/report.schema.json").read_text())
GATE = resource(GATEWAY, "public")
ROUTE = structs.replace(resource(HTTP_ROUTE, "cart"), origin=Origin("shop.yaml", 7, lambda _: 9))
ROOT = Finding(
    "EGD-441",
    "update-rejected",
    Severity.ERROR,
    Problem(
        GATE.at("spec", "listeners", 0, section="https"),
        "2 of 2 proxies reject the listener on port 443",
        impact="Envoy keeps serving the old configuration",
        why='EnvoyPatchPolicy edge/tls-min: "unknown cipher"',
        evidence=("error_state: unknown cipher",),
        related=(ROUTE.at(),),
        do_now=("do not restart these proxies",),
        remedy=("correct the cipher", "run: egops doctor Gateway/edge/public"),
        fix_patch="spec:\n  x: 1",
    ),
    "docs/rules/EGD-441-update-rejected.md",
)
LEAF = Finding("EGD-240", "leaf", Severity.WARNING, Problem(ROUTE.at("spec"), "is lost"), "d")
REPORT = Report(
    command="doctor",
    version="0.1.0",
    source=Source(SourceType.CLUSTER, "prod"),
    taken_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
    facts={"egVersion": "1.3.0", "gateways": "3", "proxies": "6"},
    findings=(ROOT,),
    folded=(Folded(LEAF, ROOT),),
    suppressed=(Suppressed(LEAF, "being built", "egops.toml"),),
    skipped=(Skip("EGD-400", "secrets: forbidden"),),
    crashed=(Crash("EGD-500", "KeyError: 'x'", "Traceback …"),),
    ok=(("EGD-100", "the control plane runs"),),
    broken=(Broken("a.yaml", 3, "mapping values are not allowed"),),
    notes=("3 of 13 proxies not read (--max-pods)",),
)
EMPTY = replace(
    REPORT,
    findings=(),
    folded=(),
    suppressed=(),
    skipped=(),
    crashed=(),
    broken=(),
    notes=(),
    facts={},
)


def text(report: Report = REPORT, **terminal: Any) -> str:
    return renderer("text")(report, Terminal(**terminal))


def test_text_says_what_where_and_what_to_do() -> None:
    assert (
        text(elapsed=1.24)
        == """\
egops doctor · context prod · Envoy Gateway 1.3.0 · 3 Gateways, 6 proxies · 1.2 s

✗ EGD-441  Gateway edge/public (https): 2 of 2 proxies reject the listener on port 443
           Envoy keeps serving the old configuration
  where    spec.listeners[0]
  why      EnvoyPatchPolicy edge/tls-min: "unknown cipher"
  do now   do not restart these proxies
  fix      1. correct the cipher
           2. run: egops doctor Gateway/edge/public
  explains EGD-240 (-v shows them)

  error    a.yaml:3: mapping values are not allowed

  crashed  EGD-500: KeyError: 'x'

1 error · 1 warning · 1 ok · 1 suppressed · 1 crashed · 1 skipped: secrets: forbidden
3 of 13 proxies not read (--max-pods)
"""
    )


def test_verbose_text_shows_evidence_and_what_is_hidden() -> None:
    shown = text(verbose=True)

    for expected in (
        "  evidence error_state: unknown cipher",
        "  related  HTTPRoute edge/cart",
        "  patch    spec:",
        "           EGD-240 HTTPRoute edge/cart: is lost",
        "✓ EGD-100  the control plane runs",
        "- EGD-400  skipped: secrets: forbidden",
        "- EGD-240  suppressed: HTTPRoute edge/cart (being built, egops.toml)",
    ):
        assert expected in shown.splitlines()


def test_ascii_text_has_no_other_characters() -> None:
    shown = text(unicode=False, verbose=True)

    assert shown.isascii()
    assert "x EGD-441" in shown


def test_text_is_wrapped_only_to_a_terminal() -> None:
    long = replace(ROOT, problem=replace(ROOT.problem, message="word " * 60))

    wide = text(replace(REPORT, findings=(long,)))
    narrow = text(replace(REPORT, findings=(long,), notes=()), width=60)

    assert max(map(len, wide.splitlines())) > 300
    lines = narrow.splitlines()
    assert max(map(len, lines[2:8])) <= 71
    assert " ".join(narrow.split()).count("word") == 60


def test_colour_only_where_asked() -> None:
    assert "\x1b[" not in text()
    assert "\x1b[" in text(color=True)


def test_a_file_is_shown_with_its_line() -> None:
    finding = replace(ROOT, problem=replace(ROOT.problem, at=ROUTE.at("spec", "rules", 0)))

    assert "  where    shop.yaml:9 (spec.rules[0])" in text(replace(REPORT, findings=(finding,)))


@pytest.mark.parametrize("report", [REPORT, EMPTY], ids=["full", "empty"])
def test_json_fits_the_published_schema(report: Report) -> None:
    document = json.loads(renderer("json")(report, Terminal()))

    jsonschema.validate(document, SCHEMA, format_checker=jsonschema.FormatChecker())


def test_json_counts_folded_findings_and_names_their_root() -> None:
    document = json.loads(renderer("json")(REPORT, Terminal()))

    assert document["summary"] == {
        "error": 1, "warning": 1, "info": 0, "ok": 1, "skipped": 1, "crashed": 1, "suppressed": 1,
    }  # fmt: skip
    assert document["findings"][0]["explains"] == ["EGD-240"]
    assert document["folded"][0]["explainedBy"] == document["findings"][0]["fingerprint"]
    assert document["source"] == {
        "type": "cluster", "context": "prod", "egVersion": "1.3.0", "gateways": 3, "proxies": 6,
    }  # fmt: skip


def test_yaml_says_the_same_as_json() -> None:
    as_yaml = yaml.safe_load(renderer("yaml")(REPORT, Terminal()))

    assert as_yaml == json.loads(renderer("json")(REPORT, Terminal()))


def test_names_are_one_line_per_finding() -> None:
    twice = replace(REPORT, findings=(ROOT, ROOT))

    assert renderer("name")(twice, Terminal()) == "EGD-441 Gateway/edge/public\n"
