"""Releases: what the words of --from and --to mean, and which fixes a release carries."""

from __future__ import annotations

import pytest

from egops.errors import InputError
from egops.upgrade.releases import (
    FIXES,
    MATRIX,
    RELEASES,
    dotted,
    is_in_force,
    named,
    next_minor,
    steps,
)


@pytest.mark.parametrize(
    ("word", "release"),
    [("1.3.0", (1, 3, 0)), ("v1.3.3", (1, 3, 3)), ("1.3", (1, 3, 3)), ("latest", max(RELEASES))],
)
def test_a_release_can_be_named_in_several_ways(word: str, release: tuple[int, ...]) -> None:
    assert named(word) == release


def test_next_is_the_newest_patch_of_the_following_minor() -> None:
    assert named("next", (1, 2, 4)) == (1, 3, 3)
    assert next_minor(max(RELEASES)) == max(RELEASES)


@pytest.mark.parametrize("word", ["1.33", "v1.3.9", "one", "", "1", "2.0", "1.3.0-rc.1", "next"])
def test_an_unknown_release_is_refused_with_a_hint(word: str) -> None:
    with pytest.raises(InputError) as caught:
        named(word)

    assert caught.value.hint


def test_patches_of_a_minor_get_newer() -> None:
    for version, release in RELEASES.items():
        following = (*version[:2], version[2] + 1)
        if following in RELEASES:
            assert release.day <= RELEASES[following].day, dotted(version)
        assert version[:2] in MATRIX


def test_a_fix_is_in_later_patches_and_later_minors_only() -> None:
    where = ((1, 4, 6), (1, 5, 5), (1, 6, 1))

    has = {dotted(v) for v in RELEASES if is_in_force(v, where)}

    assert {"1.4.6", "1.5.5", "1.6.1", "1.7.0"} <= has
    assert not has & {"1.3.3", "1.4.5", "1.5.4", "1.6.0"}


def test_a_change_that_was_backported_is_in_no_patch_before_the_backport() -> None:
    where = ((1, 7, 5), (1, 8, 2))

    has = [dotted(v) for v in RELEASES if is_in_force(v, where)]

    assert has == ["1.7.5", "1.8.2", "1.8.3", "1.9.0", "1.9.1"]


def test_a_change_can_be_taken_back_and_come_again() -> None:
    changed, taken_back = ((1, 6, 1), (1, 7, 0), (1, 8, 0)), ((1, 6, 4), (1, 7, 1))

    has = [dotted(v) for v in RELEASES if v < (1, 9) and is_in_force(v, changed, taken_back)]

    assert has == ["1.6.1", "1.6.2", "1.6.3", "1.7.0", "1.8.0", "1.8.1", "1.8.2", "1.8.3"]


def test_a_minor_without_the_repair_is_broken_up_to_its_last_patch() -> None:
    changed, taken_back = ((1, 3, 0),), ((1, 4, 6), (1, 5, 5), (1, 6, 1))

    has = {dotted(v) for v in RELEASES if is_in_force(v, changed, taken_back)}

    assert {"1.3.3", "1.4.5", "1.5.0", "1.5.4", "1.6.0"} <= has
    assert not has & {"1.2.8", "1.4.6", "1.5.5", "1.6.1", "1.7.0"}


def test_the_step_from_1_2_8_to_1_3_0_loses_six_fixes() -> None:
    lost = [fix for fix in FIXES if fix.is_in((1, 2, 8)) and not fix.is_in((1, 3, 0))]

    assert len(lost) == 6
    assert not [fix for fix in FIXES if fix.is_in((1, 2, 8)) and not fix.is_in((1, 3, 3))]


def test_an_upgrade_over_several_minors_goes_through_each() -> None:
    assert [dotted(v) for v in steps((1, 2, 8), (1, 5, 0))] == ["1.3.3", "1.4.6", "1.5.0"]
    assert steps((1, 2, 8), (1, 3, 0)) == [(1, 3, 0)]
