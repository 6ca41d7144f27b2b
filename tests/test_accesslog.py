"""Reading access logs back: all formats that Envoy Gateway writes, and what is none of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from egops.accesslog import Entry, parse, recent, share

MESSAGE = (
    "[2026-11-23 09:00:28.747][1][warning][misc] [source/common/protobuf/x.cc:23] Deprecated field"
)
# 1.2 and from 1.4 on: a JSON object with numbers and nulls
TYPED = (
    '{":authority":"www.demo.test","bytes_received":0,"bytes_sent":345,'
    '"connection_termination_details":null,"downstream_remote_address":"198.18.1.1:24058",'
    '"duration":7,"method":"GET","protocol":"HTTP/1.1","requested_server_name":null,'
    '"response_code":200,"response_code_details":"via_upstream","response_flags":"-",'
    '"route_name":"httproute/demo/plain/rule/0/match/0/www_demo_test",'
    '"start_time":"2026-11-23T09:00:39.476Z","upstream_cluster":"httproute/demo/plain/rule/0",'
    '"upstream_host":"198.18.1.6:3000","upstream_transport_failure_reason":null,'
    '"user-agent":"curl/7.88.1","x-envoy-origin-path":"/"}'
)
# 1.3.0: JSON written as text, so everything is a string and nothing is escaped
TEXTUAL = (
    '{"start_time":"2026-11-23T08:56:06.407Z","method":"GET","x-envoy-origin-path":"/",'
    '"protocol":"HTTP/1.1","response_code":"200","response_flags":"-",'
    '"response_code_details":"via_upstream","connection_termination_details":"-",'
    '"upstream_transport_failure_reason":"-","bytes_received":"0","bytes_sent":"345",'
    '"duration":"7","user-agent":"AGENT",":authority":"www.demo.test",'
    '"upstream_host":"198.18.1.5:3000","upstream_cluster":"httproute/demo/plain/rule/0",'
    '"route_name":"httproute/demo/plain/rule/0/match/0/www_demo_test"}'
)
ENVOY_TEXT = (
    '[2026-11-23T08:56:06.407Z] "GET /x HTTP/1.1" 503 UF 0 91 7 - "198.18.0.1" "curl/7.88.1" '
    '"9cdbcfcd-aff2-43b6-9ccf-1400ce7b4546" "www.demo.test" "198.18.1.5:3000"'
)
DETAILED_TEXT = (
    '[2026-11-23T08:56:06.407Z] "GET /x HTTP/2" 404 NR route_not_found - "-" 0 0 0 - "198.18.0.1" '
    '"curl/7.88.1" "9cdbcfcd-aff2-43b6-9ccf-1400ce7b4546" "www.demo.test" "-" - -'
)


@pytest.mark.parametrize("line", [TYPED, TEXTUAL.replace("AGENT", "curl/7.88.1")])
def test_both_json_forms_say_the_same(line: str) -> None:
    (entry,) = parse(line).entries

    assert (entry.code, entry.flags, entry.details) == (200, "", "via_upstream")
    assert entry.authority == "www.demo.test"
    assert entry.route == "httproute/demo/plain/rule/0/match/0/www_demo_test"
    assert entry.cluster == "httproute/demo/plain/rule/0"
    assert (entry.duration, entry.bytes_sent) == (7, 345)
    assert entry.failure_reason == ""
    assert entry.start is not None
    assert entry.start.tzinfo is not None


def test_unescaped_quotes_of_a_client_lose_no_field() -> None:
    (entry,) = parse(TEXTUAL.replace("AGENT", 'a "quoted", agent')).entries

    assert entry.user_agent == 'a "quoted", agent'
    assert entry.authority == "www.demo.test"
    assert entry.route.startswith("httproute/demo/plain")


@pytest.mark.parametrize(
    ("line", "code", "flag", "details"),
    [(ENVOY_TEXT, 503, "UF", ""), (DETAILED_TEXT, 404, "NR", "route_not_found")],
)
def test_text_forms_give_what_they_have(line: str, code: int, flag: str, details: str) -> None:
    (entry,) = parse(line).entries

    assert entry.code == code
    assert entry.has_flag(flag)
    assert entry.details == details
    assert entry.authority == "www.demo.test"


def test_other_lines_are_counted_and_never_guessed() -> None:
    log = parse("\n".join([MESSAGE, TYPED, "custom format 200 -", '{"msg":"x"}', "", TYPED[:80]]))

    assert len(log.entries) == 1
    assert log.messages == 1
    assert log.unknown == 3


@pytest.mark.parametrize("value", ["1795424092.133", "null", '"x"', "-1e300", "{}"])
def test_odd_times_lose_no_entry(value: str) -> None:
    line = TYPED.replace('"2026-11-23T09:00:39.476Z"', value)

    (entry,) = parse(line).entries

    assert entry.code == 200
    assert (entry.start is not None) == (value == "1795424092.133")


def test_only_the_last_minutes_count_and_entries_without_time_do() -> None:
    now = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
    new = TYPED.replace("09:00:39", "09:08:00")
    timeless = TYPED.replace('"start_time":"2026-11-23T09:00:39.476Z",', "")

    found = recent("\n".join([TYPED, new, timeless]), now)

    assert len(found.entries) == 2


def test_share_is_never_told_without_its_sample() -> None:
    entries = [Entry()] * 300

    assert share(entries[:1], entries) == "1 of 300 requests (0.33 %)"
    assert share(entries[:60], entries) == "60 of 300 requests (20 %)"
    assert share([], []) == "0 of 0 requests (0 %)"
