"""What Envoy does with rarely used settings. What is asserted here was observed on a real Envoy."""

from __future__ import annotations

from typing import Any

import pytest

from egops.xds.walk_replica import replica
from egops.xds.walk_story import Story
from tests.xds.test_walk import ask, host, route, taken, walker

API = "type.googleapis.com/envoy."
HEADER = API + "type.matcher.v3.HttpRequestHeaderMatchInput"


def wants(name: str, **match: Any) -> dict[str, Any]:
    return route("yes", prefix="/", headers=[{"name": name, **(match or {"present_match": True})}])


def input_of(name: str) -> dict[str, Any]:
    return {"name": "in", "typed_config": {"@type": HEADER, "header_name": name}}


def to(*routes: dict[str, Any]) -> dict[str, Any]:
    if len(routes) == 1:
        config = {"@type": API + "config.route.v3.Route", **routes[0]}
    else:
        config = {"@type": API + "config.route.v3.RouteList", "routes": list(routes)}
    return {"action": {"name": "route", "typed_config": config}}


def is_(name: str, **matcher: Any) -> dict[str, Any]:
    return {"single_predicate": {"input": input_of(name), "value_match": matcher}}


def tree(**matcher: Any) -> dict[str, Any]:
    return {"name": "tree", "domains": ["*"], "matcher": matcher}


# ------------------------------------------------------------------ matcher trees


def test_the_longest_prefix_of_a_map_that_leads_somewhere_is_taken() -> None:
    paths = {
        "/a": to(route("short")),
        "/a/b": to(route("long", prefix="/a/b", headers=[{"name": "x", "present_match": True}])),
    }
    asked = walker(
        tree(matcher_tree={"input": input_of(":path"), "prefix_match_map": {"map": paths}})
    )

    assert taken(asked, "/a/c") == "short"
    assert taken(asked, "/a/b", headers={"x": "1"}) == "long"
    assert ask(asked, "/a/b").outcome == "no_route"  # it leads to a route that does not match
    assert ask(asked, "/z").outcome == "no_route"


def test_a_branch_that_leads_nowhere_is_left_for_the_next() -> None:
    nested = {"matcher": {"matcher_tree": {"input": input_of("x"), "exact_match_map": {"map": {}}}}}
    matchers = [
        {"predicate": is_(":path", prefix="/a"), "on_match": nested},
        {"predicate": {"not_matcher": is_("y", exact="1")}, "on_match": to(route("next"))},
    ]
    asked = walker(tree(matcher_list={"matchers": matchers}, on_no_match=to(route("last"))))

    assert taken(asked, "/a") == "next"
    assert taken(asked, "/a", headers={"y": "1"}) == "last"


def test_predicates_are_joined_and_lists_of_routes_tried_in_order() -> None:
    both = {"and_matcher": {"predicate": [is_("x", exact="1"), is_("y", suffix="2")]}}
    either = {"or_matcher": {"predicate": [is_("x", contains="1"), is_("y", exact="2")]}}
    routes = to(route("first", path="/p"), route("second"))
    matchers = [
        {"predicate": both, "on_match": to(route("both"))},
        {"predicate": either, "on_match": routes},
    ]
    asked = walker(tree(matcher_list={"matchers": matchers}))

    assert taken(asked, "/p", headers={"x": "1", "y": "2"}) == "both"
    assert taken(asked, "/p", headers={"x": "1"}) == "first"
    assert taken(asked, "/q", headers={"x": "01"}) == "second"
    assert ask(asked, "/q").outcome == "no_route"


@pytest.mark.parametrize(
    "matcher",
    [
        {"matcher_tree": {"input": {"name": "other"}, "exact_match_map": {"map": {"a": to()}}}},
        {"matcher_tree": {"input": input_of(":path"), "custom_match": {"name": "trie"}}},
        {"matcher_list": {"matchers": [{"predicate": {}, "on_match": to(route("a"))}]}},
        {"matcher_list": {"matchers": 5}},
        {"matcher_list": {"matchers": ["a", None]}},
        {"matcher_tree": {"exact_match_map": []}},
        {"on_no_match": {"action": {"typed_config": {"@type": "x.Route", "match": 1, "name": 2}}}},
        {"on_no_match": {"keep_matching": True, **to(route("a"))}},
        {"on_no_match": {"action": {"name": "other", "typed_config": {"@type": "x.Other"}}}},
    ],
)
def test_what_a_tree_does_not_tell_is_unknown(matcher: Any) -> None:
    assert ask(walker(tree(**matcher))).outcome == "unknown"


def test_a_tree_is_proved_with_the_places_of_its_routes() -> None:
    inner = {"matcher": {"on_no_match": to(route("b"), route("c"))}}
    matchers = [{"predicate": is_("x", exact="1"), "on_match": to(route("a"))}]
    asked = walker(tree(matcher_list={"matchers": matchers}, on_no_match=inner))

    made = replica(asked, "http", 1, "@pipe", None)

    text = str(made["static_resources"]["listeners"][0])
    assert [f"'value': '{place}'" in text for place in range(4)] == [True, True, True, False]


def test_extensions_and_formats_are_not_guessed() -> None:
    extension = [{"name": "some", "typed_config": {"@type": "x.Some"}}]
    redirect = {"name": "r", "match": {"prefix": "/"}, "redirect": {"path_rewrite": "/%REQ(a)%"}}
    forward = {
        "name": "f",
        "match": {"prefix": "/"},
        "route": {"cluster": "c", "path_rewrite": "/%REQ(a)%", "host_rewrite": "%REQ(b)%"},
    }

    assert ask(walker(host(route("a"), route_specifiers=extension))).outcome == "unknown"
    verdict = ask(walker(host(redirect)))
    assert (verdict.outcome, verdict.location) == ("redirect", None)
    asked = walker(host(forward))
    steps = Story(asked).tell(ask(asked))["steps"]
    assert [step["text"] for step in steps if step["stage"] == "rewrite"] == [
        "path becomes what /%REQ(a)% stands for",
        "host becomes what %REQ(b)% stands for",
    ]


# ------------------------------------------------------------------ what Envoy takes away


def test_the_connection_header_nominates_fields_to_take_away() -> None:
    asked = walker(host(wants("x-a"), route("no")))

    assert taken(asked, headers={"x-a": "1"}) == "yes"
    assert taken(asked, headers={"x-a": "1", "connection": "close, X-A"}) == "no"
    assert taken(asked, headers={"x-a": "1", "connection": "upgrade, x-a"}) == "no"


@pytest.mark.parametrize("token", ["x-forwarded-for", ":path", ",".join("abcdefghij")])
def test_a_connection_header_that_is_abused_is_refused(token: str) -> None:
    verdict = ask(walker(host(route("a"))), headers={"connection": token})

    assert (verdict.outcome, verdict.status) == ("rejected", 400)


def test_a_nominated_host_is_missing_then() -> None:
    verdict = ask(walker(host(route("a"))), headers={"connection": "host"})

    assert verdict.refusal is not None
    assert verdict.refusal.reason == "missing_host_header"


def test_fields_for_the_own_network_are_taken_from_strangers() -> None:
    table = {"internal_only_headers": ["X-Inside"]}
    ranges = {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    settings: Any = {"use_remote_address": True, "internal_address_config": ranges}
    asked = walker(host(wants("x-inside"), route("no")), table=table, **settings)

    assert taken(asked, headers={"x-inside": "1"}, source_ip="8.8.8.8") == "no"
    assert taken(asked, headers={"x-inside": "1"}, source_ip="10.1.1.1") == "yes"


def test_private_addresses_are_internal_where_no_ranges_are_given() -> None:
    settings: Any = {"use_remote_address": True, "internal_address_config": {"unix_sockets": True}}
    asked = walker(host(wants("x-envoy-internal"), route("no")), **settings)

    assert taken(asked, source_ip="192.168.1.1") == "yes"
    assert taken(asked, source_ip="127.0.0.2") == "no"


@pytest.mark.parametrize(
    ("value", "name"),
    [("100-continue", "no"), ("100-Continue", "no"), ("200-ok", "yes")],
)
def test_an_expectation_that_envoy_answers_is_gone(value: str, name: str) -> None:
    routes = host(wants("expect"), route("no"))

    assert taken(walker(routes), headers={"expect": value}) == name
    assert taken(walker(routes, proxy_100_continue=True), headers={"expect": value}) == "yes"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("http://h/x", "yes"),
        ("/x?a=1", "yes"),
        ("http://u@h/", "no"),
        ("http://h/#f", "no"),
        ("a:b", "no"),
        ("é", "no"),
    ],
)
def test_a_referer_must_be_a_url_or_a_path(value: str, name: str) -> None:
    assert taken(walker(host(wants("referer"), route("no"))), headers={"referer": value}) == name


@pytest.mark.parametrize(
    ("details", "name"),
    [("FORWARD_ONLY", "no"), ("SANITIZE_SET", "no"), ("ALWAYS_FORWARD_ONLY", "yes")],
)
def test_nobody_without_a_certificate_brings_its_details(details: str, name: str) -> None:
    asked = walker(
        host(wants("x-forwarded-client-cert"), route("no")), forward_client_cert_details=details
    )

    assert taken(asked, headers={"x-forwarded-client-cert": "a"}) == name


# ------------------------------------------------------------------ what Envoy adds


@pytest.mark.parametrize(
    ("name", "value", "settings"),
    [
        ("via", "edge", {"via": "edge"}),
        ("x-forwarded-port", "10080", {"append_x_forwarded_port": True}),
        (
            "x-forwarded-port",
            "10080",
            {"append_x_forwarded_port": True, "use_remote_address": True},
        ),
        (
            "x-forwarded-proto",
            "https",
            {"scheme_header_transformation": {"scheme_to_overwrite": "https"}},
        ),
    ],
)
def test_what_a_setting_adds_is_matched(name: str, value: str, settings: Any) -> None:
    routes = host(wants(name, string_match={"exact": value}), route("no"))

    assert taken(walker(routes, **settings)) == "yes"
    assert taken(walker(routes)) == "no"


def test_envoys_own_name_is_not_known_from_a_dump() -> None:
    asked = walker(host(wants("user-agent", string_match={"exact": "a"})), add_user_agent=True)

    assert ask(asked).outcome == "unknown"
    assert taken(asked, headers={"user-agent": "a"}) == "yes"


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("limits", "headers", "reason"),
    [
        ({"max_request_headers_kb": 1}, {"x": "y" * 1100}, "http1.headers_too_large"),
        ({}, {f"x-{n}": "1" for n in range(100)}, "http1.too_many_headers"),
        ({}, {"x_y": "1", **{f"x-{n}": "1" for n in range(99)}}, "http1.unexpected_underscore"),
    ],
)
def test_too_much_is_refused(limits: Any, headers: Any, reason: str) -> None:
    verdict = ask(walker(host(route("a")), **limits), headers=headers)

    assert verdict.refusal is not None
    assert verdict.refusal.reason == reason


def test_lines_of_a_field_with_one_value_count_once() -> None:
    headers = [["accept", "a"]] * 150

    assert ask(walker(host(route("a"))), headers=headers).outcome == "direct_response"


def test_http2_counts_its_pseudo_fields_and_resets() -> None:
    common: Any = {"common_http_protocol_options": {"max_headers_count": 3}}

    verdict = ask(walker(host(route("a")), **common), protocol="h2")

    assert (verdict.outcome, verdict.status) == ("rejected", None)


@pytest.mark.parametrize(
    ("value", "outcome"), [("10.0.0.1", "direct_response"), ("x", "rejected"), (None, "rejected")]
)
def test_a_client_whose_address_no_header_tells_is_refused(value: Any, outcome: str) -> None:
    kind = API + "extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"
    config = {"@type": kind, "header_name": "x-client", "reject_with_status": {"code": "Forbidden"}}
    extension = {"name": "custom", "typed_config": config}
    asked = walker(host(route("a")), original_ip_detection_extensions=[extension])

    verdict = ask(asked, headers={"x-client": value} if value else {})

    assert verdict.outcome == outcome
    assert verdict.status == (403 if outcome == "rejected" else 200)


@pytest.mark.parametrize(
    ("skips", "headers", "outcome"),
    [
        (False, {}, "yes"),  # the peer's address is appended
        (True, {}, "no"),
        (None, {}, "no"),  # the extension's default
        (False, {"x-client": "10.0.0.1"}, "no"),  # told by the extension before
    ],
)
def test_detection_by_x_forwarded_for_appends_on_request(
    skips: bool | None, headers: dict[str, str], outcome: str
) -> None:
    kind = API + "extensions.http.original_ip_detection."
    custom = {"@type": kind + "custom_header.v3.CustomHeaderConfig", "header_name": "x-client"}
    xff: dict[str, Any] = {"@type": kind + "xff.v3.XffConfig", "xff_num_trusted_hops": 1}
    if skips is not None:
        xff["skip_xff_append"] = skips
    asked = walker(
        host(wants("x-forwarded-for"), route("no")),
        original_ip_detection_extensions=[
            {"name": "custom", "typed_config": custom},
            {"name": "xff", "typed_config": xff},
        ],
    )

    assert taken(asked, "/", headers=headers) == outcome


def test_length_and_chunks_together_are_refused_unless_allowed() -> None:
    headers = {"content-length": "1", "transfer-encoding": "chunked"}
    allowed: Any = {"http_protocol_options": {"allow_chunked_length": True}}

    assert ask(walker(host(route("a"))), headers=headers).status == 400
    assert ask(walker(host(route("a")), **allowed), headers=headers).status == 200


# ------------------------------------------------------------------ upgrades


def test_an_upgrade_to_nothing_is_refused_and_an_ignored_one_is_none() -> None:
    options: Any = {"http_protocol_options": {"ignore_http_11_upgrade": [{"prefix": "foo"}]}}
    routes = host(route("a"))

    def answer(asked: Any, wanted: str) -> str:
        return ask(asked, headers={"connection": "upgrade", "upgrade": wanted}).outcome

    assert answer(walker(routes), "") == "rejected"
    assert answer(walker(routes), "foo") == "rejected"
    assert answer(walker(routes), "h2c") == "direct_response"
    assert answer(walker(routes, **options), "foo, foobar") == "direct_response"
    assert answer(walker(routes, **options), "foo, websocket") == "rejected"


def test_te_stays_in_an_upgrade() -> None:
    options: Any = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
    asked = walker(host(wants("te"), route("no")), **options)

    assert taken(asked, headers={"te": "gzip"}) == "no"
    assert taken(asked, headers={"te": ""}) == "yes"
    upgrade = {"te": "gzip", "connection": "upgrade", "upgrade": "websocket"}
    assert taken(asked, headers=upgrade) == "yes"
