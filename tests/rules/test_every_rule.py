"""What is true of every rule, whatever it judges."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from egops.finding import CannotJudge, Problem
from egops.rules.registry import RETIRED, all_rules
from egops.snapshot import Kind, Resource, Snapshot
from egops.upgrade.select import rules_of
from tests.rules.snapshots import load_fixture

if TYPE_CHECKING:
    from egops.rules import Rule

HERE = Path(__file__).parent
RANGES = {
    "install": (100, 119), "crd": (120, 139), "controlplane": (140, 169), "gateway": (200, 239),
    "route": (240, 299), "backend": (300, 339), "policy": (340, 399), "tls": (400, 439),
    "xds": (440, 499), "traffic": (500, 569), "ratelimit": (570, 589), "extension": (600, 639),
    "observability": (640, 669), "capacity": (700, 739),
}  # fmt: skip
BANNED_NAMES = re.compile(r"^(use|avoid|prefer|check|ensure|no|missing-check)-")
RULES = all_rules()
FIXTURES = sorted(
    path
    for path in HERE.glob("*/*/*")
    if path.suffix == ".yaml" or (path.is_dir() and any(path.glob("*.yaml")))
)
ids = [f"{path.parent.name}/{path.stem}" for path in FIXTURES]


def rule_of(fixture: Path) -> Rule:
    name = fixture.parent.name.replace("_", "-")
    return next(rule for rule in RULES if rule.name == name)


def marks(fixture: Path, rule: Rule) -> set[tuple[str, int]]:
    files = [fixture] if fixture.is_file() else sorted(fixture.rglob("*.yaml"))
    return {
        (str(file), number)
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if re.search(rf"finds: .*\b{rule.name}\b(?!-)", line)
    }


def problems(rule: Rule, snapshot: Snapshot) -> list[Problem]:
    try:
        return [said for said in rule.check(snapshot) if isinstance(said, Problem)]
    except CannotJudge:
        return []


@pytest.mark.parametrize("fixture", FIXTURES, ids=ids)
def test_rule_finds_exactly_the_marked_lines(fixture: Path) -> None:
    rule, snapshot = rule_of(fixture), load_fixture(fixture)
    chosen = rules_of((rule,), snapshot.upgrade) if snapshot.upgrade else (rule,)

    found = {
        (problem.at.file, problem.at.line)
        for one in chosen
        for problem in problems(one, snapshot)
        if problem.settled
    }

    assert found == marks(fixture, rule)


@pytest.mark.parametrize("rule", RULES, ids=[rule.code for rule in RULES])
def test_rule_has_a_firing_and_a_silent_fixture(rule: Rule) -> None:
    folder = HERE / rule.area / rule.name.replace("-", "_")
    fixtures = [path for path in FIXTURES if path.parent == folder]

    firing = [path for path in fixtures if marks(path, rule)]

    assert firing, f"no fixture of {rule.name} fires"
    objects = sum(
        file.read_text("utf-8").count("\nkind:")
        for path in fixtures
        for file in ([path] if path.is_file() else path.glob("*.yaml"))
    )
    assert objects > sum(len(marks(path, rule)) for path in firing), "no silent twin"


@pytest.mark.parametrize("rule", RULES, ids=[rule.code for rule in RULES])
def test_rule_is_named_and_documented(rule: Rule) -> None:
    assert not BANNED_NAMES.match(rule.name), "a rule is named for the fault"
    assert rule.code not in RETIRED
    assert rule.summary, "the first line of the docstring says what is wrong"
    assert "## Why it matters" in rule.documentation
    assert "## How to fix it" in rule.documentation
    assert rule.ok
    assert not rule.ok.endswith(".")
    if rule.area == "upgrade":
        assert rule.code.startswith("EGU-")
        assert rule.changed_in or rule.link == ""
    else:
        first, last = RANGES[rule.area]
        assert first <= int(rule.code.removeprefix("EGD-")) <= last


def test_codes_and_names_are_unique() -> None:
    codes, names = [rule.code for rule in RULES], [rule.name for rule in RULES]

    assert len(set(codes)) == len(codes)
    assert len(set(names)) == len(names)


class Recording(Snapshot):
    """A snapshot that remembers which kinds and probes a rule asked for."""

    def all(self, kind: Kind) -> tuple[Resource, ...]:
        self.__dict__.setdefault("asked", set()).add(kind)
        return super().all(kind)


def recording(snapshot: Snapshot) -> Recording:
    names = snapshot.__dataclass_fields__
    return Recording(**{name: getattr(snapshot, name) for name in names})


@pytest.mark.parametrize("fixture", FIXTURES, ids=ids)
def test_rule_reads_only_what_it_declares(fixture: Path) -> None:
    rule = rule_of(fixture)
    snapshot = recording(load_fixture(fixture))

    problems(rule, snapshot)

    undeclared = snapshot.__dict__.get("asked", set()) - {*rule.reads, *rule.optional}
    assert not undeclared, f"{rule.name} reads {sorted(kind.name for kind in undeclared)}"


@pytest.mark.parametrize("fixture", FIXTURES, ids=ids)
def test_rule_leaves_the_snapshot_as_it_was(fixture: Path) -> None:
    rule, snapshot = rule_of(fixture), load_fixture(fixture)
    before = copy.deepcopy(dict(snapshot.resources))

    problems(rule, snapshot)

    assert dict(snapshot.resources) == before


def damaged(value: Any) -> list[Any]:
    """Return copies of a value, each with one field made null, empty or of the wrong shape."""
    found: list[Any] = [None, {}, [], "", "x", 0, [None], [[]], {"x": None}]
    if isinstance(value, dict):
        for key, entry in value.items():
            found += [{**value, key: bad} for bad in damaged(entry)[:9]]
            if isinstance(entry, (dict, list)):
                found += [{**value, key: bad} for bad in damaged(entry)[9:]]
    elif isinstance(value, list):
        for index, entry in enumerate(value[:2]):
            found += [[*value[:index], bad, *value[index + 1 :]] for bad in damaged(entry)]
    return found


@pytest.mark.parametrize("fixture", FIXTURES, ids=ids)
def test_rule_survives_damaged_objects(fixture: Path) -> None:
    rule, snapshot = rule_of(fixture), load_fixture(fixture)

    for kind, resources in snapshot.resources.items():
        for index, resource in enumerate(resources[:2]):
            for field in ("spec", "status", "metadata"):
                if field not in resource.body:
                    continue
                for bad in damaged(resource.body[field])[:400]:
                    body = {**resource.body, field: bad}
                    twisted = (
                        *resources[:index],
                        structs.replace(resource, body=body),
                        *resources[index + 1 :],
                    )
                    problems(
                        rule, replace(snapshot, resources={**snapshot.resources, kind: twisted})
                    )
