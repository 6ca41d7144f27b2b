"""`--prove` and `--send` with a real Envoy."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from egops.cli import root
from egops.envoy import binary, running
from egops.errors import EgopsError
from tests.envoy import compare
from tests.xds.dumps import DUMPS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.envoy
EG_190 = str(DUMPS / "eg-1.9.0.json.gz")


@pytest.fixture(scope="module", autouse=True)
def _needs_envoy() -> None:
    try:
        binary()
    except EgopsError as exc:
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"{exc.message}: {exc.hint}")


def explain(*args: str) -> Any:
    result = CliRunner().invoke(root, ["routes", "explain", *args, "-o", "json", "--brief"])
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)["results"][0]


@pytest.mark.parametrize(
    "url",
    [
        "http://canary.demo.test/api",
        "http://canary.demo.test/a%2Fb",
        "http://moved.demo.test/x?y=1",
        "https://www.demo.test/",
        "https://nope.test/",
    ],
)
def test_a_local_envoy_agrees_with_the_explanation(url: str) -> None:
    told = explain(url, "--config-dump", EG_190, "--prove")

    assert told["proof"]["agrees"] is True
    assert told["proof"]["status"] == (None if told["outcome"] == "closed" else _status(told))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("https://canary.demo.test/api", "--proto", "h2"), 200),
        (("http://www.demo.test/", "--proto", "h2", "-H", "x_y: 1"), None),
        (("https://nope.test/", "--proto", "h2"), None),
        (("POST", "http://nope.test/a.B/C", "--proto", "grpc"), 200),
    ],
)
def test_a_local_envoy_agrees_over_http2(words: tuple[str, ...], status: int | None) -> None:
    told = explain(*words, "--config-dump", EG_190, "--prove")

    assert told["proof"]["agrees"] is True
    assert told["proof"]["status"] == status


def test_http3_cannot_be_proved() -> None:
    words = ["http://www.demo.test/", "--proto", "h3", "--config-dump", EG_190, "--prove"]

    result = CliRunner().invoke(root, ["routes", "explain", *words])

    assert result.exit_code in (2, 3)
    assert "error:" in result.stderr


def _status(told: Any) -> int:
    return 200 if told["outcome"] == "route" else int(told["status"])


def test_without_an_envoy_the_error_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EGOPS_ENVOY", str(tmp_path / "none"))

    result = CliRunner().invoke(
        root, ["routes", "explain", "http://h/", "--config-dump", EG_190, "--prove"]
    )

    assert result.exit_code == 3
    assert "EGOPS_ENVOY" in result.stderr


def test_a_request_is_sent_to_a_live_proxy_and_compared() -> None:
    route = {"match": {"path": "/a"}, "name": "a", "direct_response": {"status": 201}}
    table = {"name": "t", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]}
    (port,) = compare.free_ports(1)
    boot = compare.bootstrap([compare.listener("http", table, {}, port)])

    with running(boot) as server:
        admin = f"http://{server.admin}"
        taken = explain(f"http://127.0.0.1:{port}/a", "--admin", admin, "--send")
        missed = explain(f"http://127.0.0.1:{port}/b", "--admin", admin, "--send")

    assert (taken["route"], taken["sent"]["status"], taken["sent"]["agrees"]) == ("a", 201, True)
    assert (missed["outcome"], missed["sent"]["status"]) == ("no_route", 404)


def test_a_saved_dump_cannot_be_sent_to() -> None:
    result = CliRunner().invoke(
        root, ["routes", "explain", "http://www.demo.test/", "--config-dump", EG_190, "--send"]
    )

    assert result.exit_code == 2
    assert "saved dump" in result.stderr
