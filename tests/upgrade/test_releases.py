"""Releases: what the words of --from and --to mean, and which fixes a release carries."""

from __future__ import annotations

import pytest

from egops.errors import InputError
from egops.upgrade.releases import (
    FIXES,
    MATRIX,
    RELEASES,
    dotted,
    is_repaired,
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

    has = {dotted(v) for v in RELEASES if is_repaired(v, where)}

    assert {"1.4.6", "1.5.5", "1.6.1", "1.7.0"} <= has
    assert not has & {"1.3.3", "1.4.5", "1.5.4", "1.6.0"}


def test_the_step_from_1_2_8_to_1_3_0_loses_six_fixes() -> None:
    lost = [fix for fix in FIXES if fix.is_in((1, 2, 8)) and not fix.is_in((1, 3, 0))]

    assert len(lost) == 6
    assert not [fix for fix in FIXES if fix.is_in((1, 2, 8)) and not fix.is_in((1, 3, 3))]


def test_an_upgrade_over_several_minors_goes_through_each() -> None:
    assert [dotted(v) for v in steps((1, 2, 8), (1, 5, 0))] == ["1.3.3", "1.4.6", "1.5.0"]
    assert steps((1, 2, 8), (1, 3, 0)) == [(1, 3, 0)]
