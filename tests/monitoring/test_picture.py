"""A board drawn in the terminal and as a page."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pytest

from egops.errors import InputError, UnreachableError
from egops.monitoring.picture import legend, read_board, with_unit
from egops.monitoring.picture_html import to_html
from egops.monitoring.picture_text import sparkline, to_text
from egops.monitoring.prometheus import Series

if TYPE_CHECKING:
    from egops.monitoring.picture import Picture

NOW = 1_700_000_000.0
POD = {"namespace": "eg", "pod": "<envoy>-1"}


class Answering:
    """Answers every query alike: a line from 0 to 9 over time, the value 1 now."""

    name = "a Prometheus"

    def __init__(self, value: float = 1.0, refused: str = "") -> None:
        self.value, self.refused = value, refused

    def query(self, expr: str) -> list[Series]:
        if self.refused and self.refused in expr:
            raise InputError("PromQL error: too many samples")
        return [Series(POD, ((NOW, self.value),))]

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        if self.refused and self.refused in expr:
            raise InputError("PromQL error: too many samples")
        points = tuple((start + index * (end - start) / 9, float(index)) for index in range(10))
        return [Series(POD, points)]


def picture(name: str = "xds", **how: object) -> Picture:
    return read_board(name, Answering(**how), now=NOW, seconds=3600)  # type: ignore[arg-type]


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def test_every_panel_of_the_board_is_drawn() -> None:
    text = plain(to_text(picture()))

    for title, panels in picture().rows:
        assert title in text
        for panel in panels:
            assert panel.title in text


def test_lines_become_sparklines_with_their_last_value() -> None:
    text = plain(to_text(picture(), width=100))

    assert re.search(r"<envoy>-1 +▁▁?.*█ 9", text)


def test_a_value_that_is_mapped_is_shown_as_its_word() -> None:
    text = to_text(picture("xds"))

    assert "connected" in plain(text)


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (60, 80, 120):
        lines = plain(to_text(picture("proxies"), width=width)).splitlines()
        assert max(len(line) for line in lines if line.startswith("    ")) <= width + 14


def test_a_refused_query_is_told_in_its_panel_and_the_others_are_drawn() -> None:
    text = plain(to_text(picture(refused="envoy_server_state")))

    assert "PromQL error: too many samples" in text
    assert "Reconnects" in text


def test_nothing_but_nan_is_no_data() -> None:
    text = plain(to_text(picture("proxies", value=math.nan)))

    assert "NaN" not in text
    assert "no traffic yet" in text


def test_a_prometheus_that_does_not_answer_stops_the_command() -> None:
    class Gone(Answering):
        def query(self, expr: str) -> list[Series]:
            raise UnreachableError("cannot reach it")

    with pytest.raises(UnreachableError):
        read_board("xds", Gone(), now=NOW, seconds=3600)  # type: ignore[arg-type]


def test_a_board_that_is_not_there_and_a_range_too_short_are_explained() -> None:
    with pytest.raises(InputError, match="there is no board nothing"):
        picture("nothing")
    with pytest.raises(InputError, match="too short to draw"):
        read_board("xds", Answering(), now=NOW, seconds=10)  # type: ignore[arg-type]


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_it_is_given() -> None:
    page = to_html(picture())

    assert "<envoy>" not in page
    assert "&lt;envoy&gt;-1" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|@import|url\()\s*=?\s*["\']?https?:', page)
    assert page.count("<svg") > 10


def test_a_gap_is_a_space_and_points_stand_where_their_time_is() -> None:
    points = [(0.0, 1.0), (90.0, 2.0)]

    assert sparkline(points, (0, 100), 10) == "▅        █"
    assert sparkline([(5.0, math.nan)], (0, 100), 4) == "    "
    assert sparkline([(0.0, 0.0), (99.0, 0.0)], (0, 100), 2) == "▁▁"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.9995, "percentunit", "100 %"),
        (1536, "bytes", "1.5 KiB"),
        (90061, "s", "1.04 d"),
        (0.0005, "s", "500 µs"),
        (12, "ms", "12 ms"),
        (0, "reqps", "0 req/s"),
        (1234567, "short", "1.23 M"),
        (math.inf, "short", "∞"),
        (math.nan, "s", "NaN"),
    ],
)
def test_a_value_is_shown_with_its_unit(value: float, unit: str, shown: str) -> None:
    assert with_unit(value, unit) == shown


def test_a_legend_is_filled_in_as_grafana_does() -> None:
    series = Series({"pod": "a", "__name__": "up"}, ((0.0, 1.0),))

    assert legend("{{pod}} {{missing}} x", series) == "a x"
    assert legend("__auto", series) == "pod=a"
