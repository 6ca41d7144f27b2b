"""Which rules judge a step, by the releases in which their change came and went."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from egops.rules.registry import upgrade_rules
from egops.snapshot import Upgrade
from egops.upgrade.releases import MATRIX, named
from egops.upgrade.select import not_covered, rules_of


class Change(NamedTuple):
    """A rule, as the choice of rules sees it."""

    changed_in: tuple[tuple[int, ...], ...] = ()
    fixed_in: tuple[tuple[int, ...], ...] = ()


BACKPORTED = Change(((1, 7, 5), (1, 8, 2)))
REPAIRED = Change(((1, 3, 0),), ((1, 4, 6), (1, 5, 5), (1, 6, 1)))


def judges(change: Change, start: str, end: str) -> bool:
    return bool(rules_of((change,), Upgrade(named(start), named(end))))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1.7.4", "1.7.5", True),
        ("1.7.4", "1.8.1", False),  # the older minor has it, the newer one not yet
        ("1.7.4", "1.8.2", True),
        ("1.7.5", "1.8.2", False),
        ("1.7.5", "1.9.0", False),
        ("1.8.1", "1.9.0", True),
        ("1.6.7", "1.7.4", False),
    ],
)
def test_a_backported_change_counts_from_its_patch_on(start: str, end: str, expected: bool) -> None:
    assert judges(BACKPORTED, start, end) is expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1.2.8", "1.3.0", True),
        ("1.2.8", "1.4.6", False),
        ("1.2.8", "1.5.4", True),
        ("1.2.8", "1.7.0", False),
        ("1.4.6", "1.5.0", True),  # the repair of the older minor is lost
        ("1.3.3", "1.4.0", False),
    ],
)
def test_what_the_target_repaired_is_not_judged(start: str, end: str, expected: bool) -> None:
    assert judges(REPAIRED, start, end) is expected


def test_rules_about_any_step_are_always_chosen() -> None:
    assert judges(Change(((1, 0, 0),)), "1.8.0", "1.8.1")
    assert judges(Change(), "1.8.0", "1.8.1")


def test_every_minor_has_rules_of_its_own() -> None:
    step = Upgrade(named("1.0.0"), named("latest"))

    assert not_covered(upgrade_rules(), step) == []
    assert not_covered((), step) == [minor for minor in sorted(MATRIX) if minor > (1, 0)]
