"""The upgrade rules explain what the translators of two releases do differently."""

from __future__ import annotations

import os

import pytest

from tools.translate.build import CACHE
from tools.translate.corpus import corpus
from tools.translate.tree import tree_of
from tools.translate.unexplained import dump_of, judge, proxies


def test_an_answer_becomes_a_proxy_for_each_gateway_that_is_not_withheld() -> None:
    listener = {"name": "edge/edge/http", "address": {"socket_address": {"port_value": 10080}}}
    kind = "type.googleapis.com/envoy.config.listener.v3.Listener"
    answer = {
        "xds": {"edge/edge": {kind: [listener]}, "edge/held": {kind: [listener]}},
        "irErrors": {"edge/held": "invalid"},
        "xdsErrors": {},
    }

    (proxy,) = proxies(answer)

    assert proxy.fleet == "edge/edge"
    assert [entry.name for entry in proxy.config.listeners] == ["edge/edge/http"]
    assert len(dump_of({})["configs"]) == 5


@pytest.mark.parametrize(("start", "end"), [("1.2.8", "1.3.0")])
def test_nearly_every_difference_is_explained(start: str, end: str) -> None:
    missing = [v for v in (start, end) if not (CACHE / f"oracle-{v}").exists()]
    if missing:
        reason = f"no translator of {', '.join(missing)}: python -m tools.translate.build"
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    sample = dict(list(corpus().items())[::12])

    counts = judge({name: tree_of(objects) for name, objects in sample.items()}, start, end)

    assert counts["inputs"] > 20
    assert counts["explained"] >= 0.99 * counts["differences"] > 0
