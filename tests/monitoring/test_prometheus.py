"""Our view of a Prometheus: shapes of answers, and APIs that it may not have."""

from __future__ import annotations

import math
from typing import Any

import pytest

from egops.errors import UnreachableError
from egops.monitoring.prometheus import Prometheus


class Client:
    """Gather's client, with answers by path."""

    name = "P"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def query(self, promql: str) -> Any:
        return self.get(promql)

    def get(self, path: str, params: object = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def prometheus(answer: Any) -> Prometheus:
    return Prometheus(Client(answer))  # type: ignore[arg-type]


def test_a_vector_a_matrix_and_a_scalar_have_one_shape() -> None:
    vector = [{"metric": {"a": "b"}, "value": [1, "NaN"]}]
    matrix = {"result": [{"metric": {}, "values": [[1, "2"], [2, "+Inf"]]}]}

    found = prometheus(vector).query("x")[0]
    lines = prometheus(matrix).query_range("x", start=0, end=10, step=1)

    assert (dict(found.labels), math.isnan(found.last)) == ({"a": "b"}, True)
    assert lines[0].points == ((1.0, 2.0), (2.0, math.inf))
    assert prometheus([1, "3"]).query("x")[0].last == 3.0


def test_a_count_of_nothing_is_zero() -> None:
    assert prometheus([]).count("x") == 0
    assert prometheus([{"metric": {}, "value": [1, "7"]}]).count("x") == 7


def test_an_api_that_is_not_there_is_none_and_trouble_is_trouble() -> None:
    assert prometheus(UnreachableError("P answered 404: 404 page not found")).targets() is None
    assert prometheus(UnreachableError("P answered 501")).rule_groups() is None
    with pytest.raises(UnreachableError, match="503"):
        prometheus(UnreachableError("P answered 503: no endpoints")).rule_groups()


@pytest.mark.parametrize("answer", [{"a": 1}, [{"metric": {}}], 5, None, [1, "x"]])
def test_an_answer_that_makes_no_sense_is_explained(answer: Any) -> None:
    with pytest.raises(UnreachableError, match="makes no sense"):
        prometheus(answer).query("x")


def test_too_many_series_are_refused() -> None:
    many = [{"metric": {}, "value": [1, "1"]}] * 10_001

    with pytest.raises(UnreachableError, match="10001 series"):
        prometheus(many).query("x")
