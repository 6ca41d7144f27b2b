"""Routes that no request reaches. The proof of the analysis is that no request ever does."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from egops.xds.config_dump import ConfigDump
from egops.xds.shadow import precedence, shadows
from egops.xds.walk import Walker
from egops.xds.walk_examples import requests, spots
from tests.envoy import tables, traffic
from tests.envoy.compare import listener, to_request
from tests.xds.test_walk import host, route, walker

DEAD = ("never", "equal", "unreachable")


def found(*routes: Any, **settings: Any) -> list[tuple[str, str, str | None]]:
    (spot,) = spots(walker(host(*routes), **settings))
    return [
        (s.kind, s.loser.route.name, s.winner.route.name if s.winner else None)
        for s in shadows(spot.host.index.compiled, spot.way.manager, spot.way.walker.how)
    ]


def header(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "string_match": {"exact": value}}


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"prefix": "/"}, {"path": "/a"}, "unreachable"),
        ({"path": "/a"}, {"path": "/a"}, "equal"),
        ({"path_separated_prefix": "/a"}, {"path_separated_prefix": "/a/b"}, "unreachable"),
        ({"path_separated_prefix": "/a"}, {"path_separated_prefix": "/ab"}, None),
        ({"path_separated_prefix": "/a"}, {"prefix": "/a"}, None),
        ({"prefix": "/a"}, {"safe_regex": {"regex": "/ab[0-9]+"}}, "unreachable"),
        ({"safe_regex": {"regex": "/a.*"}}, {"path": "/abc"}, "unreachable"),
        ({"safe_regex": {"regex": "/a.*"}}, {"safe_regex": {"regex": "/ab.*"}}, "may overlap"),
        ({"path": "/A", "case_sensitive": False}, {"path": "/a"}, "unreachable"),
        ({"prefix": "/", "headers": [header("x", "1")]}, {"path": "/a"}, None),
        (
            {"path": "/a", "headers": [header("x", "1")]},
            {"path": "/a", "headers": [header("x", "1"), header("y", "2")]},
            "unreachable",
        ),
        (
            {"path": "/a", "headers": [{"name": "x", "present_match": True}]},
            {"path": "/a", "headers": [header("X", "1")]},
            "unreachable",
        ),
        (
            {"path": "/a", "headers": [header(":method", "GET")]},
            {"path": "/a", "headers": [header(":method", "POST")]},
            None,
        ),
        (
            {"path": "/a", "headers": [header("x", "1")]},
            {"path": "/a", "headers": [header("y", "1")]},
            "overlap",
        ),
        (
            {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 5}}},
            {"path": "/a"},
            None,
        ),
    ],
)
def test_only_what_is_proven_is_called_unreachable(
    first: dict[str, Any], second: dict[str, Any], kind: str | None
) -> None:
    pairs = found(route("first", **first), route("second", **second))

    assert pairs == ([(kind, "second", "first")] if kind else [])


@pytest.mark.parametrize(
    "match",
    [
        {"path": "/%66oo"},
        {"path": "/a//b"},
        {"path": "/a|b"},
        {"path": "/a/../b"},
        {"path": "/a?b"},
        {"path": "/a%2Fb"},
        {"prefix": "/", "headers": [header("a_b", "1")]},
        {"prefix": "/", "runtime_fraction": {"default_value": {}}},
    ],
)
def test_matches_that_no_request_fulfils_are_found(match: dict[str, Any]) -> None:
    assert found(route("odd", **match)) == [("never", "odd", None)]


def test_the_rule_that_decides_is_named() -> None:
    (spot,) = spots(walker(host(route("a", path="/a"), route("b"), route("c", path="/longer"))))
    exact, prefix, longer = spot.host.index.compiled

    assert "kind of path" in precedence(exact, prefix)
    assert "longer path" in precedence(longer, exact)
    assert "older object" in precedence(exact, exact)
    assert "user order" in precedence(prefix, exact)


@pytest.mark.parametrize("seed", range(4))
def test_no_request_takes_a_route_that_is_called_unreachable(seed: int) -> None:
    rnd = Random(seed)
    made = {
        f"t{i}": (tables.route_config(rnd, cookies=True), tables.settings(rnd)) for i in range(6)
    }
    entries = [{"listener": listener(name, *parts, 1000)} for name, parts in made.items()]
    kind = "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"
    raw = json.dumps({"configs": [{"@type": kind, "static_listeners": entries}]})
    asked = Walker(ConfigDump.parse(raw.encode()))
    dead, sent = set(), []
    for spot in spots(asked):
        routes = spot.host.index.compiled
        pairs = shadows(routes, spot.way.manager, asked.how)
        dead |= {id(pair.loser.route) for pair in pairs if pair.kind in DEAD}
        sent += [request for entry in routes for request in requests(spot, [entry])]
    for name, (config, _) in made.items():
        sent += [to_request(traffic.request(rnd, config, 1000), name) for _ in range(150)]

    taken = set()
    for request in sent:
        verdict = asked.judge(request)
        taken |= {id(r.route) for r in (verdict.route, *verdict.maybe) if r is not None}

    assert dead
    assert not dead & taken
