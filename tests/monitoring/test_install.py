"""Waiting for Prometheus to load rules, and all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from egops.monitoring.install import RefusedError, carry_out, confirmed
from egops.plan import Action, Change, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loading:
    """A Prometheus that has loaded nothing at first, then more each time it is asked."""

    name = "a Prometheus"

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def rule_groups(self) -> list[dict[str, Any]] | None:
        names = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return None if names is None else [{"name": name} for name in names]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(prometheus: Loading, seconds: float = 10) -> list[str] | None:
    clock = Clock()
    return confirmed(
        prometheus,  # type: ignore[arg-type]
        ["egops-xds", "egops-slo"],
        seconds=seconds,
        sleep=clock.sleep,
        clock=clock,
    )


def test_rules_that_are_loaded_in_time_are_confirmed() -> None:
    assert wait(Loading([], ["egops-xds"], ["other", "egops-xds", "egops-slo"])) == []


def test_rules_that_are_never_loaded_are_named() -> None:
    prometheus = Loading(["egops-xds"])

    assert wait(prometheus) == ["egops-slo"]
    assert prometheus.asked == 6


def test_a_prometheus_without_a_rules_api_confirms_nothing() -> None:
    assert wait(Loading(None)) is None


def test_nothing_is_carried_out_if_anything_is_refused() -> None:
    class Writing:
        written = 0

        def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:
            for change in plan.pending:
                self.written += 1
                yield change

    target = Writing()
    plan = Plan(
        "here",
        (
            Change(Action.CREATE, "one"),
            Change(Action.REFUSE, "two", "it is somebody else's"),
            Change(Action.REFUSE, "three", "so is this"),
        ),
    )

    with pytest.raises(RefusedError, match=r"two: it is somebody else's \(and 1 more\)"):
        list(carry_out(target, plan, overwrite=False, dry_run=False))  # type: ignore[arg-type]

    assert target.written == 0


def test_a_diff_shows_both_sides_and_nothing_when_equal() -> None:
    change = Change(Action.UPDATE, "board x", before="a\nb", after="a\nc")

    assert list(change.diff())[-2:] == ["-b", "+c"]
    assert list(Change(Action.NONE, "x", before="a", after="a").diff()) == []
