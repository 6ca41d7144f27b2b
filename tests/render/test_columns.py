"""Tables as kubectl prints them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egops.render.columns import NARROWEST, columns, fit


def table(headers: list[str], rows: list[list[str]], **options: object) -> list[str]:
    return "".join(columns(headers, rows, **options)).splitlines()  # type: ignore[arg-type]


def test_columns_are_aligned_and_lines_end_without_blanks() -> None:
    lines = table(["NAME", "AGE"], [["a", "1d"], ["longer", "2d"]])

    assert lines == ["NAME     AGE", "a        1d", "longer   2d"]


def test_an_empty_cell_shows_as_a_dash() -> None:
    assert table(["A", "B"], [["", "x"]]) == ["A   B", "-   x"]


def test_a_table_without_rows_has_its_head() -> None:
    assert table(["A", "B"], []) == ["A   B"]


def test_nothing_is_cut_without_a_width() -> None:
    wide = "x" * 500

    assert table(["A"], [[wide]])[1] == wide


def test_the_widest_columns_are_cut_to_the_terminal() -> None:
    lines = table(["A", "B"], [["x" * 100, "short"]], width=40)

    assert lines[1] == "x" * 31 + "…" + "   short"
    plain = table(["A", "B"], [["x" * 100, "short"]], width=40, unicode=False)
    assert plain[1] == "x" * 29 + "..." + "   short"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert table(["A"], [["a\x1b[31mb\nc"]])[1] == "a?[31mb?c"


def test_many_rows_come_in_pieces() -> None:
    pieces = list(columns(["A"], [["x"]] * 5_001))

    assert len(pieces) == 4
    assert sum(piece.count("\n") for piece in pieces) == 5_002


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 400))
def test_widths_fit_unless_they_are_at_their_narrowest(widths: list[int], total: int) -> None:
    found = fit(widths, total)

    assert all(new <= old for new, old in zip(found, widths, strict=True))
    if sum(widths) <= total:
        assert found == widths
    else:
        assert sum(found) <= total or all(new <= NARROWEST for new in found)
