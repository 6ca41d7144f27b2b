"""What a misspelt name may mean."""

from __future__ import annotations

from egops.spelling import MOST, closest, some


def test_nearest_name_is_found() -> None:
    assert closest("shopp", ["shop", "pay"]) == "shop"


def test_nothing_near_is_nothing() -> None:
    assert closest("shop", ["billing", "x"]) == ""
    assert closest("shop", []) == ""


def test_thousands_of_names_are_narrowed_down_first() -> None:
    names = [f"service-{number}" for number in range(50 * MOST)]

    assert closest("shopp", [*names, "shop"]) == "shop"


def test_long_list_is_cut() -> None:
    assert some(["b", "a"]) == "a, b"
    assert some([]) == "none"
    assert some("abcd", 2) == "a, b, …"
