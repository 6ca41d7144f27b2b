"""`egops routes explain` and `egops routes test`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from egops.cli import root
from tests.xds.dumps import DUMPS

if TYPE_CHECKING:
    from pathlib import Path

EG_130 = str(DUMPS / "eg-1.3.0.json.gz")
EG_190 = str(DUMPS / "eg-1.9.0.json.gz")


def run(*args: str, given: str | None = None, dump: str = EG_130) -> Result:
    return CliRunner().invoke(root, ["routes", *args, "--config-dump", dump], input=given)


def explain(*args: str) -> Any:
    result = run("explain", *args, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["results"][0]


def test_a_request_is_explained_with_its_rule() -> None:
    told = explain("http://canary.demo.test/api?x=1")

    assert told["outcome"] == "route"
    assert told["route"] == "httproute/demo/canary/rule/0/match/0/canary_demo_test"
    assert told["source"]["kind"] == "HTTPRoute"
    assert (told["source"]["name"], told["source"]["rule"]) == ("canary", 0)
    assert told["virtual_host"] == "demo/eg/http/canary_demo_test"
    assert told["route_config"] == "demo/eg/http"
    assert told["status"] is None
    assert told["rejected_by"] is None
    stages = [step["stage"] for step in told["steps"]]
    assert stages[:4] == ["listener", "filter_chain", "virtual_host", "route"]
    assert "backend" in stages


def test_the_result_has_the_promised_fields() -> None:
    told = explain("http://canary.demo.test/nope")

    promised = {
        "id",
        "request",
        "outcome",
        "route",
        "virtual_host",
        "route_config",
        "status",
        "source",
        "rejected_by",
        "steps",
        "near_misses",
    }
    assert promised <= told.keys()
    assert told["outcome"] == "no_route"
    failed = told["near_misses"][0]["failed"]
    assert failed == {
        "predicate": "path",
        "expected": "is /api or below it",
        "actual": "/nope",
    }


def test_brief_leaves_out_steps_and_near_misses() -> None:
    told = explain("http://canary.demo.test/api", "--brief")

    assert "steps" not in told
    assert "near_misses" not in told


def test_a_redirect_tells_its_location() -> None:
    told = explain("http://moved.demo.test/a?b=1")

    assert (told["outcome"], told["status"]) == ("redirect", 301)
    assert told["location"] == "https://www.demo.test/a?b=1"


def test_curls_habits_are_understood() -> None:
    told = explain("http://10.0.0.1/api", "-H", "Host: canary.demo.test", "-X", "POST")

    assert told["request"]["method"] == "POST"
    assert told["request"]["authority"] == "canary.demo.test"
    assert told["outcome"] == "route"


def test_an_unknown_server_name_closes_the_connection() -> None:
    told = explain("https://nope.test/")

    assert (told["outcome"], told["status"]) == ("closed", None)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["canary.demo.test/api"], "no URL with a scheme"),
        (["http:///api"], "names no host"),
        (["ftp://h/"], "has the scheme ftp"),
        (["http://h/", "-H", "nonsense"], "has no colon"),
        (["http://h/", "--listener", "x"], "no active listener is called 'x'"),
        (["GET", "http://h/", "more"], "more than a method and a URL"),
        ([], "give one URL"),
    ],
)
def test_wrong_input_is_told_in_one_line(args: list[str], message: str) -> None:
    result = run("explain", *args)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_batch_answers_what_it_can_and_names_the_broken_lines(tmp_path: Path) -> None:
    lines = [
        '{"id":"a","authority":"canary.demo.test","path":"/api"}',
        '{"id":"b","authority":"can',
        "",
        '{"id":"c","authority":"www.demo.test","path":"/","listener":"nope"}',
        '{"id":"d","authority":"www.demo.test","path":"/","headers":{"x":["1","2"]}}',
    ]
    file = tmp_path / "requests.jsonl"
    file.write_text("\n".join(lines), "utf-8")

    result = run("explain", "--requests", str(file), "-o", "json", "--brief")

    told = json.loads(result.stdout)
    assert result.exit_code == 2
    assert [(r["id"], r["outcome"]) for r in told["results"]] == [
        ("a", "route"),
        ("c", "unknown"),
        ("d", "route"),
    ]
    assert [error["line"] for error in told["errors"]] == [2, 4]
    assert "line 2" in result.stderr
    assert '{"id":"b"' in result.stderr


def test_requests_come_from_standard_input_and_go_out_line_by_line() -> None:
    given = '{"authority":"www.demo.test","path":"/"}\n' * 3

    result = run("explain", "--requests", "-", "-o", "jsonl", given=given)

    assert [json.loads(line)["outcome"] for line in result.stdout.splitlines()] == ["route"] * 3


def test_an_access_log_is_compared_with_now(tmp_path: Path) -> None:
    entry = {
        ":authority": "canary.demo.test",
        "x-envoy-origin-path": "/api",
        "method": "GET",
        "response_code": 200,
        "route_name": "httproute/demo/canary/rule/0/match/0/canary_demo_test",
        "downstream_local_address": "10.0.0.1:10080",
        "protocol": "HTTP/1.1",
    }
    other = {**entry, "route_name": "httproute/demo/old/rule/0/match/0/canary_demo_test"}
    log = tmp_path / "access.log"
    log.write_text(f"{json.dumps(entry)}\n{json.dumps(other)}\n{{nonsense\n", "utf-8")

    result = run("explain", "--from-access-log", str(log), "-o", "json")

    told = json.loads(result.stdout)
    assert [row["now"] for row in told["results"]] == ["same", "different"]
    assert told["summary"]["unknown_lines"] == 1


def test_another_answer_without_a_route_is_a_difference(tmp_path: Path) -> None:
    line = {
        "method": "GET",
        "x-envoy-origin-path": "/",
        "response_code": 404,
        "protocol": "HTTP/1.1",
        ":authority": "nobody.test",
        "downstream_local_address": "10.0.0.1:10080",
        "start_time": "2026-01-01T00:00:00.000Z",
        "route_name": None,
    }
    log = tmp_path / "access.log"
    log.write_text("".join(json.dumps({**line, "response_code": c}) + "\n" for c in (404, 503)))

    result = run("explain", "--from-access-log", str(log), "-o", "json")

    assert [row["now"] for row in json.loads(result.stdout)["results"]] == ["same", "different"]


@pytest.mark.parametrize("text", ['{"log": {"entries": 5}}', "[]", '{"log":'])
def test_no_archive_is_told(tmp_path: Path, text: str) -> None:
    har = tmp_path / "a.har"
    har.write_text(text, "utf-8")

    result = run("explain", "--har", str(har))

    assert result.exit_code == 2
    assert "is no HTTP archive" in result.stderr


def test_a_browsers_archive_is_read(tmp_path: Path) -> None:
    request = {"method": "GET", "url": "https://www.demo.test/", "headers": [], "httpVersion": "h2"}
    har = tmp_path / "a.har"
    har.write_text(json.dumps({"log": {"entries": [{"request": request}, {}]}}), "utf-8")

    result = run("explain", "--har", str(har), "-o", "json", "--brief")

    told = json.loads(result.stdout)
    assert [r["outcome"] for r in told["results"]] == ["route"]
    assert told["errors"][0]["line"] == 2


def test_what_was_recorded_holds_and_a_change_is_found(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    assert run("test", str(file), "--record").exit_code == 0
    assert run("test", str(file), "--record").exit_code == 2  # it is there already

    same = run("test", str(file))
    file.write_text(file.read_text("utf-8").replace("status: 301", "status: 302"), "utf-8")
    changed = run("test", str(file), "-o", "junit")

    assert same.exit_code == 0
    assert same.stdout.endswith("7 passed, 0 failed\n")
    assert changed.exit_code == 1
    assert '<failure message="status is 301, not 302">' in changed.stdout
    assert 'tests="7" failures="1"' in changed.stdout


def test_expectations_are_written_by_hand_too(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(
        "tests:\n"
        "- request: {url: 'http://canary.demo.test/api', headers: {x: 7}}\n"
        "  expect: {route: HTTPRoute/demo/canary, rule: 0, backend: '*canary*', status: 200}\n"
        "- request: {url: 'http://canary.demo.test/%2F'}\n"
        "  expect: {outcome: rejected, rejected_by: path, status: 307}\n",
        "utf-8",
    )

    result = run("test", str(file))

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "has no `tests`"),
        ("- {}", "test 1 has no `request`"),
        ("a: [", "is no YAML"),
        ("- {request: {url: 'http://h/'}, expect: {rout: x}}", "expects 'rout'"),
        ("- {request: {url: 'h'}, expect: {rule: 1}}", "test 1: 'h' is no URL"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text, "utf-8")

    result = run("test", str(file))

    assert result.exit_code == 2
    assert message in result.stderr


def test_the_rules_file_and_line_are_told_when_manifests_are_given(tmp_path: Path) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text(
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: HTTPRoute\n"
        "metadata: {name: canary, namespace: demo}\n"
        "spec:\n"
        "  rules:\n"
        "    - matches: [{path: {value: /api}}]\n",
        "utf-8",
    )

    told = explain("http://canary.demo.test/api", "-f", str(file))

    assert (told["source"]["file"], told["source"]["line"]) == (str(file), 6)
