"""egops.toml, annotations, and how rules are named on the command line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from egops.config import annotated, choose, load, suppressor
from egops.engine import Options, run
from egops.errors import InputError
from egops.finding import Problem
from tests.making import a_rule, finds, resource, snapshot

TOML = """
[doctor]
skip = ["EGD-207"]
fail-on = "warning"

[[suppress]]
code = "EGD-200"
object = "Gateway/edge/*"
reason = "being built"
until = 2026-11-24
"""


def config_file(folder: Path, text: str) -> str:
    file = folder / "egops.toml"
    file.write_text(text)
    return str(file)


def test_the_file_of_the_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().suppressions == ()

    (tmp_path / ".egops.toml").write_text(TOML)

    assert load().fail_on == "warning"


def test_a_suppression_covers_its_objects_until_its_day(tmp_path: Path) -> None:
    config = load(config_file(tmp_path, TOML))
    gate, other = resource(), resource(metadata={"namespace": "elsewhere"})
    rule = a_rule("EGD-200", finds(Problem(gate.at(), "x"), Problem(other.at(), "x")))
    picture = snapshot(gate, other)

    report = run([rule], picture, Options(suppress=suppressor(config, picture)))

    assert [entry.reason for entry in report.suppressed] == ["being built"]
    assert [finding.at.ref.namespace for finding in report.findings] == ["elsewhere"]
    (suppression,) = config.suppressions
    assert not suppression.covers(report.suppressed[0].finding, date(2026, 11, 25))


def test_an_annotation_suppresses_with_a_reason() -> None:
    note = {"annotations": {"egops.dev/suppress": "EGD-200: one is enough until 2026-12-01"}}
    gate = resource(metadata=note)
    picture = snapshot(gate)
    rule = a_rule("EGD-200", finds(Problem(gate.at(), "x")))

    report = run([rule], picture, Options(suppress=suppressor(load(), picture)))

    assert report.findings == ()
    assert report.suppressed[0].reason == "one is enough"


@pytest.mark.parametrize(
    "value", ["EGD-200", "EGD-200:", "EGD-200: until 2027-01-01", "all: x", ""]
)
def test_an_annotation_without_code_or_reason_suppresses_nothing(value: str) -> None:
    assert annotated(value, "here") == []


def test_an_annotation_may_hold_several() -> None:
    found = annotated("EGD-200, EGD-201: a (until 2027-01-31); EGD-300: b", "here")

    assert [(sorted(one.codes), one.reason, one.until) for one in found] == [
        (["EGD-200", "EGD-201"], "a", date(2027, 1, 31)),
        (["EGD-300"], "b", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[suppress]]\nreason = 'x'\n", "no code"),
        ("[[suppress]]\ncode = 'EGD-200'\n", "no reason"),
        ("[[suppress]]\ncode = 'EGD-200'\nreason = 'x'\nuntil = 'soon'\n", "no date"),
        ("[doctors]\n", "unknown key 'doctors'"),
        ("[doctor]\nskips = []\n", "unknown key doctor.skips"),
        ("= 1", "is not TOML"),
    ],
)
def test_what_the_file_gets_wrong_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(config_file(tmp_path, text))


def test_a_missing_file_is_told() -> None:
    with pytest.raises(InputError, match="cannot read"):
        load("nowhere.toml")


RULES = (
    a_rule("EGD-200", finds()),
    a_rule("EGD-201", finds()),
    a_rule("EGD-440", finds(), area="xds"),
)


@pytest.mark.parametrize(
    ("only", "skip", "codes"),
    [
        ((), (), ["EGD-200", "EGD-201", "EGD-440"]),
        (("EGD-200",), (), ["EGD-200"]),
        (("egd-2*",), (), ["EGD-200", "EGD-201"]),
        (("xds,EGD-201",), (), ["EGD-201", "EGD-440"]),
        (("rule-egd-440",), (), ["EGD-440"]),
        ((), ("gateway",), ["EGD-440"]),
    ],
)
def test_rules_are_named_by_code_name_area_or_glob(
    only: tuple[str, ...], skip: tuple[str, ...], codes: list[str]
) -> None:
    assert [rule.code for rule in choose(RULES, only, skip)] == codes


def test_a_word_that_names_no_rule_is_an_error() -> None:
    with pytest.raises(InputError, match="no rule is called 'EGD-999'"):
        choose(RULES, ("EGD-999",), ())
