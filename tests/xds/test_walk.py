"""Which route a request takes. What is asserted here was observed on a real Envoy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from egops.errors import InputError
from egops.xds.config_dump import ConfigDump
from egops.xds.match_input import from_json
from egops.xds.walk import Verdict, Walker
from egops.xds.walk_examples import example, spots
from egops.xds.walk_story import Story

HCM = (
    "type.googleapis.com/envoy.extensions.filters.network."
    "http_connection_manager.v3.HttpConnectionManager"
)
ADMIN = "type.googleapis.com/envoy.admin.v3."
GATEWAY = {
    "normalize_path": True,
    "merge_slashes": True,
    "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
    "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
}


def route(name: str, status: int = 200, **match: Any) -> dict[str, Any]:
    return {
        "name": name,
        "match": match or {"prefix": "/"},
        "direct_response": {"status": status},
    }


def host(*routes: Any, domains: Any = ("*",), **more: Any) -> dict[str, Any]:
    return {"name": domains[0], "domains": list(domains), "routes": list(routes), **more}


def walker(*hosts: Any, version: str = "1.40.0", table: Any = None, **settings: Any) -> Walker:
    major, minor, patch = map(int, version.split("."))
    known = {"major_number": major, "minor_number": minor, "patch": patch}
    manager = {
        "@type": HCM,
        "route_config": {"name": "rc", "virtual_hosts": list(hosts), **(table or {})},
        **GATEWAY,
        **settings,
    }
    listener = {
        "name": "http",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 10080}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    bootstrap = {"node": {"user_agent_build_version": {"version": known}}}
    return Walker(
        ConfigDump.parse(
            json.dumps(
                {
                    "configs": [
                        {"@type": f"{ADMIN}BootstrapConfigDump", "bootstrap": bootstrap},
                        {
                            "@type": f"{ADMIN}ListenersConfigDump",
                            "static_listeners": [{"listener": listener}],
                        },
                    ]
                }
            ).encode()
        )
    )


def ask(asked: Walker, path: str = "/", authority: str = "h", **more: Any) -> Verdict:
    return asked.judge(from_json({"path": path, "authority": authority, **more}))


def taken(asked: Walker, *args: Any, **more: Any) -> str | None:
    verdict = ask(asked, *args, **more)
    return verdict.route.route.name if verdict.route else None


# ------------------------------------------------------------------ hosts


HOSTS = [
    host(route("exact"), domains=["www.example.com"]),
    host(route("long"), domains=["*.b.example.com"]),
    host(route("short"), domains=["*.example.com"]),
    host(route("prefix"), domains=["api.*"]),
]


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("WWW.Example.com", "exact"),
        ("www.example.com:80", "exact"),
        ("www.example.com:", "exact"),
        ("www.example.com:abc", "exact"),
        ("a.b.example.com", "long"),
        ("x.a.example.com", "short"),
        ("example.com", None),
        (".example.com", None),
        ("api.test", "prefix"),
        ("api.", None),
        ("www.example.com.", None),
        ("user@www.example.com", "short"),
        ("www.example.com:80:90", None),
        ("", None),
    ],
)
def test_virtual_hosts_are_chosen_as_envoy_does(authority: str, name: str | None) -> None:
    asked = walker(*HOSTS, table={"ignore_port_in_host_matching": True})

    assert taken(asked, "/", authority) == name


def test_a_specific_host_without_a_route_does_not_fall_back_to_the_star() -> None:
    asked = walker(host(route("a", path="/a"), domains=["h"]), host(route("star")))

    verdict = ask(asked, "/b")

    assert (verdict.outcome, verdict.status) == ("no_route", 404)


# ------------------------------------------------------------------ paths


@pytest.mark.parametrize(
    ("match", "path", "holds"),
    [
        ({"path_separated_prefix": "/s"}, "/s", True),
        ({"path_separated_prefix": "/s"}, "/s/x", True),
        ({"path_separated_prefix": "/s"}, "/s?x", True),
        ({"path_separated_prefix": "/s"}, "/sx", False),
        ({"path_separated_prefix": "/s"}, "/s;v=1", False),
        ({"path": "/s"}, "/s/", False),
        ({"path": "/S", "case_sensitive": False}, "/s", True),
        ({"path": "/S"}, "/s", False),
        ({"safe_regex": {"regex": "/a|/b"}}, "/b", True),
        ({"safe_regex": {"regex": "/a"}}, "/ab", False),
        ({"safe_regex": {"regex": "/(?i)x/P.+|Q"}}, "/x/Q", False),
        ({"safe_regex": {"regex": "/a\\|b"}}, "/a|b", False),
        ({"prefix": "/"}, "//", True),
        ({"path": "/"}, "//", False),
    ],
)
def test_path_matchers_are_envoys(match: dict[str, Any], path: str, holds: bool) -> None:
    assert (taken(walker(host(route("r", **match))), path) == "r") is holds


def test_the_first_route_in_the_table_wins_whatever_the_index_says() -> None:
    asked = walker(
        host(
            route("regex", safe_regex={"regex": "/a/.*"}),
            route("header", path="/a/b", headers=[{"name": "x", "present_match": True}]),
            route("exact", path="/a/c"),
            route("prefix", prefix="/"),
            route("never", path="/z"),
        )
    )

    assert [taken(asked, p) for p in ("/a/b", "/a/c", "/z")] == ["regex", "regex", "prefix"]


# ------------------------------------------------------------------ headers and versions


def test_repeated_headers_are_joined_before_1_39_and_looked_at_one_by_one_since() -> None:
    table = host(
        route("one", headers=[{"name": "x", "string_match": {"exact": "1"}}]), route("none")
    )
    headers = [["x", "1"], ["x", "2"]]

    assert taken(walker(table, version="1.36.2"), headers=headers) == "none"
    assert taken(walker(table, version="1.39.3"), headers=headers) == "one"


def test_the_runtime_of_the_bootstrap_overrides_the_version() -> None:
    table = host(
        route("one", headers=[{"name": "x", "string_match": {"exact": "1"}}]), route("none")
    )
    asked = walker(table)
    layer = {"envoy.reloadable_features.match_headers_individually": False}
    asked.config.bootstrap["layered_runtime"] = {"layers": [{"static_layer": layer}]}

    again = Walker(asked.config)

    assert taken(again, headers=[["x", "1"], ["x", "2"]]) == "none"


@pytest.mark.parametrize(
    ("matcher", "given", "holds"),
    [
        ({"string_match": {"exact": ""}}, "", True),
        ({"string_match": {"exact": ""}}, None, False),
        ({"string_match": {"exact": ""}, "treat_missing_header_as_empty": True}, None, True),
        ({"string_match": {"exact": "1"}, "invert_match": True}, None, False),
        ({"present_match": True, "invert_match": True}, None, True),
        ({"present_match": False}, None, True),
        ({"range_match": {"start": "1", "end": "2"}}, "+1", True),
        ({"range_match": {"end": "2"}}, "1.0", False),
        ({"string_match": {"exact": "Ab", "ignore_case": True}}, "aB", True),
    ],
)
def test_header_matchers_are_envoys(matcher: Any, given: str | None, holds: bool) -> None:
    asked = walker(host(route("r", prefix="/", headers=[{"name": "X-A", **matcher}])))
    headers = {} if given is None else {"x-a": given}

    assert (taken(asked, headers=headers) == "r") is holds


# ------------------------------------------------------------------ before routing


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"method": "get"}, 400),
        ({"path": "/a#b"}, 400),
        ({"path": "/%00"}, 400),
        ({"path": "*"}, 400),
        ({"path": "/a%2Fb"}, 307),
        ({"headers": {"a_b": "1"}}, 400),
        ({"authority": "a/b"}, 400),
        ({"path": "/é"}, 400),
        ({"path": "/a%2Fb", "headers": {"content-type": "application/grpc"}}, 200),
        ({"headers": {"x": "\x01"}}, 400),
        ({"method": "OPTIONS", "path": "*"}, 404),
    ],
)
def test_requests_are_rejected_before_routing(asked: dict[str, Any], status: int) -> None:
    verdict = walker(host(route("r"))).judge(from_json({"path": "/", "authority": "h", **asked}))

    assert (verdict.outcome, verdict.status) == ("rejected", status)
    assert verdict.refusal is not None


def test_without_a_host_there_is_a_400() -> None:
    verdict = walker(host(route("r"))).judge(from_json({"path": "/"}))

    assert verdict.refusal is not None
    assert verdict.refusal.reason == "missing_host_header"


def test_envoys_own_answers_to_grpc_are_200() -> None:
    headers = {"content-type": "application/grpc+proto"}

    assert ask(walker(host(domains=["*"])), headers=headers).status == 200
    assert ask(walker(host(route("r", 503))), headers=headers).status == 200


# ------------------------------------------------------------------ what can't be known


def test_a_route_by_lot_makes_the_answer_unknown_and_names_the_candidates() -> None:
    half = {"default_value": {"numerator": 50}}
    asked = walker(host(route("half", prefix="/", runtime_fraction=half), route("rest")))

    told = Story(asked).tell(ask(asked))

    assert told["outcome"] == "unknown"
    assert told["route"] is None
    assert [(c["route"], c["depends_on"]) for c in told["candidates"]] == [
        ("half", ["runtime_fraction"]),
        ("rest", []),
    ]


def test_a_generated_request_id_is_not_guessed() -> None:
    matcher = {"name": "x-request-id", "string_match": {"prefix": "a"}}
    asked = walker(host(route("r", prefix="/", headers=[matcher]), route("rest")))

    assert ask(asked).outcome == "unknown"
    assert taken(asked, headers={"x-request-id": "abc"}) == "r"


def test_metadata_is_empty_unless_a_filter_may_set_it() -> None:
    wanted = [{"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}}]
    table = host(route("r", prefix="/", dynamic_metadata=wanted), route("rest"))
    lua = {"name": "lua", "typed_config": {"@type": "type.googleapis.com/x.v3.Lua"}}

    assert taken(walker(table)) == "rest"
    assert ask(walker(table, http_filters=[lua])).outcome == "unknown"


def test_a_regex_that_re2_refuses_makes_the_answer_unknown() -> None:
    asked = walker(host(route("odd", safe_regex={"regex": "/(?=a)"}), route("rest")))

    assert ask(asked, "/a").outcome == "unknown"


# ------------------------------------------------------------------ telling


def test_near_misses_name_the_first_condition_that_fails() -> None:
    asked = walker(
        host(
            route("carts", path_separated_prefix="/carts"),
            route(
                "post",
                path="/cart",
                headers=[{"name": ":method", "string_match": {"exact": "POST"}}],
            ),
            route("rest"),
        )
    )

    told = Story(asked).tell(ask(asked, "/cart"))

    assert told["route"] == "rest"
    assert told["near_misses"] == [
        {
            "route": "carts",
            "source": None,
            "failed": {"predicate": "path", "expected": "is /carts or below it", "actual": "/cart"},
        },
        {
            "route": "post",
            "source": None,
            "failed": {"predicate": "header :method", "expected": "is 'POST'", "actual": "GET"},
        },
    ]


def test_secret_headers_are_not_told() -> None:
    matcher = {"name": "authorization", "string_match": {"exact": "x"}}
    asked = walker(host(route("r", prefix="/", headers=[matcher])))

    told = Story(asked).tell(ask(asked, headers={"authorization": "Bearer hush"}))

    assert "hush" not in json.dumps(told)


def test_an_unknown_host_gets_a_suggestion() -> None:
    asked = walker(host(route("r"), domains=["shop.example.com"]))

    told = Story(asked).tell(ask(asked, "/", "shop.exmaple.com"))

    assert told["did_you_mean"] == ["shop.example.com"]
    assert told["known_hosts"] == ["shop.example.com"]


# ------------------------------------------------------------------ listeners and tables


def test_an_unknown_listener_or_port_is_an_error_with_the_known_ones() -> None:
    asked = walker(host(route("r")))

    with pytest.raises(InputError) as caught:
        ask(asked, listener="nope")
    assert "http" in caught.value.hint
    with pytest.raises(InputError, match="port 81"):
        ask(asked, port=81)


def test_the_gateways_port_finds_the_listener_that_was_moved_by_10000() -> None:
    assert taken(walker(host(route("r"))), port=80) == "r"


def test_a_table_that_envoy_has_not_received_is_unknown() -> None:
    asked = walker(rds={"route_config_name": "x"}, route_config=None)

    verdict = ask(asked)

    assert verdict.outcome == "unknown"
    assert "no route section" in verdict.reason


def test_a_dump_without_listeners_is_refused() -> None:
    raw = json.dumps({"configs": [{"@type": f"{ADMIN}ClustersConfigDump"}]}).encode()

    with pytest.raises(InputError, match="no active listener"):
        Walker(ConfigDump.parse(raw))


def test_each_reachable_route_has_an_example_that_takes_it() -> None:
    asked = walker(
        host(
            route("regex", safe_regex={"regex": "/v\\d+/[^/]+"}),
            route(
                "query", path="/q", query_parameters=[{"name": "a", "string_match": {"exact": "1"}}]
            ),
            route("grpc", path="/s/M", grpc={}),
            route("rest"),
            route("shadowed", path="/q2"),
        )
    )
    (spot,) = spots(asked)

    found = {r.route.name: example(asked, spot, r) for r in spot.host.index.compiled}

    assert [name for name, one in found.items() if one is None] == ["shadowed"]


def test_the_steps_tell_filters_rate_limits_with_cost_retries_and_backends() -> None:
    kind = "type.googleapis.com/envoy.extensions.filters.http."
    limit = {
        "actions": [{"generic_key": {"descriptor_key": "k", "descriptor_value": "v"}}],
        "hits_addend": {"number": 3},
    }
    forward = {
        "name": "r",
        "match": {"prefix": "/a"},
        "route": {
            "weighted_clusters": {
                "clusters": [{"name": "c", "weight": 9}, {"name": "d", "weight": 1}]
            },
            "prefix_rewrite": "/b",
            "timeout": "5s",
            "retry_policy": {"retry_on": "5xx", "num_retries": 2},
            "request_mirror_policies": [{"cluster": "m"}],
        },
        "typed_per_filter_config": {
            "limit": {"@type": f"{kind}ratelimit.v3.RateLimitPerRoute", "rate_limits": [limit]},
            "envoy.filters.http.ext_authz/securitypolicy/ns/p": {
                "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig"
            },
        },
    }
    filters = [
        {
            "name": "envoy.filters.http.ext_authz/securitypolicy/ns/p",
            "disabled": True,
            "typed_config": {"@type": f"{kind}ext_authz.v3.ExtAuthz"},
        },
        {"name": "off", "disabled": True, "typed_config": {"@type": f"{kind}cors.v3.Cors"}},
        {"name": "limit", "typed_config": {"@type": f"{kind}ratelimit.v3.RateLimit"}},
    ]
    asked = walker(host(forward), http_filters=filters)

    steps = Story(asked).tell(ask(asked, "/a/x"))["steps"]

    told = [f"{step['stage']}: {step['text']}" for step in steps[3:]]
    assert told[1:] == [
        "filter: external authorization from SecurityPolicy ns/p",
        "filter: global rate limit: k=v (cost 3)",
        "rewrite: path becomes /b/x",
        "backend: cluster c, 90% of requests",
        "backend: cluster d, 10% of requests",
        "timeout: timeout 5s",
        "retry: up to 2 retries on 5xx",
        "mirror: copied to m",
    ]


@pytest.mark.parametrize("match", [7, {"path": 7}, {"headers": {}}, {"headers": [None]}, []])
def test_an_unreadable_match_makes_the_answer_unknown_and_nothing_crashes(match: Any) -> None:
    odd = {"name": "odd", "match": match, "direct_response": {"status": 200}}

    told = Story(walker(host(odd, route("rest")))).tell(ask(walker(host(odd, route("rest")))))

    assert told["outcome"] == "unknown"


def test_an_unreadable_connection_manager_makes_the_answer_unknown() -> None:
    verdict = ask(walker(host(route("r")), merge_slashes="odd"))

    assert verdict.outcome == "unknown"
    assert "unreadable" in verdict.reason
