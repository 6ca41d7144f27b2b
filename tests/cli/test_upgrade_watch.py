"""Waiting for an upgrade: what is waited out, what ends it, what Ctrl-C leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from egops.cli import root
from egops.cli.upgrade_watch import PATIENCE, SETTLE, wait
from egops.errors import TimeoutReached, UnreachableError
from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, GATEWAY, POD
from tests.gather.api_server import api_server, named
from tests.making import resource

HARD = Problem(resource().at(), "Envoy Gateway is 1.2.8, not 1.3.0")
SOFT = Problem(resource().at(), "the proxy runs Envoy 1.30", severity=Severity.WARNING)


class World:
    """A clock that only sleeping moves, and what is seen at each moment."""

    def __init__(self, seen: Callable[[float], list[Problem]]) -> None:
        self.now, self.seen, self.looks = 0.0, seen, 0

    def look(self) -> list[Problem]:
        self.looks += 1
        return self.seen(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, limit: float = 3600.0) -> float:
        wait(self.look, limit, lambda: self.now, self.sleep)
        return self.now


def test_the_release_must_be_there_for_a_while() -> None:
    world = World(lambda now: [HARD] if now < 60 else [])

    assert 60 + SETTLE <= world.wait() <= 60 + SETTLE + 10


def test_a_relapse_starts_the_waiting_anew() -> None:
    world = World(lambda now: [HARD] if now < 30 or 40 <= now < 100 else [])

    assert world.wait() >= 100 + SETTLE


def test_a_cluster_that_does_not_answer_is_waited_out() -> None:
    def seen(now: float) -> list[Problem]:
        if now < 50:
            raise UnreachableError("nobody answered")
        return []

    assert World(seen).wait() >= 50 + SETTLE


def test_a_pinned_proxy_is_waited_for_but_not_for_ever() -> None:
    assert PATIENCE <= World(lambda _: [SOFT]).wait() <= PATIENCE + 10


def test_the_limit_ends_it_and_says_what_was_missing() -> None:
    with pytest.raises(TimeoutReached, match=r"after 100 s still: Envoy Gateway is 1\.2\.8"):
        World(lambda _: [HARD]).wait(100)


def test_each_state_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    World(lambda now: [HARD] if now < 60 else []).wait()

    assert capsys.readouterr().err.count(HARD.message) == 1


def egops(*words: str) -> Result:
    return CliRunner().invoke(root, [*words])


def test_files_are_not_watched(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "utf-8")

    result = egops("upgrade-check", "-f", str(tmp_path), "--watch-after")

    assert result.exit_code == 2
    assert "watches a cluster" in result.stderr


def test_an_unreachable_cluster_leaves_no_recording(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
        "contexts: [{name: x, context: {cluster: x, user: x}}]\n"
        "clusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: x, user: {}}]\n",
        "utf-8",
    )
    record = tmp_path / "before.zip"

    result = egops(
        *("upgrade-check", "--watch-after", "--record", str(record)),
        *("--kubeconfig", str(config)),
    )

    assert result.exit_code == 3
    assert not record.exists()
    assert isinstance(result.exception, (SystemExit, click.exceptions.Exit))


CONTROLLER: dict[str, Any] = {
    **named("envoy-gateway", "envoy-gateway-system"),
    "spec": {
        "template": {
            "spec": {
                "containers": [{"name": "envoy-gateway", "image": "envoyproxy/gateway:v1.2.8"}]
            }
        }
    },
}
CONTROLLER["metadata"]["labels"] = {"control-plane": "envoy-gateway"}
GATEWAYS = [
    {
        **named("edge", "shop"),
        "spec": {"gatewayClassName": "eg", "listeners": []},
    }
]


def test_ctrl_c_keeps_the_recording_and_says_how_to_go_on(tmp_path: Path) -> None:
    record = tmp_path / "before.zip"
    with api_server(objects={DEPLOYMENT: [CONTROLLER], GATEWAY: GATEWAYS, POD: []}) as api:
        words = ("upgrade-check", "--watch-after", "--to", "1.3.0", "--record", str(record))
        with subprocess.Popen(
            [sys.executable, "-m", "egops", *words, "--kubeconfig", api.kubeconfig(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as child:
            assert child.stderr is not None
            limit = threading.Timer(60, child.kill)
            limit.start()
            told = ""
            for line in child.stderr:
                told += line
                if "not 1.3.0" in line:
                    child.send_signal(signal.SIGINT)
            code = child.wait(30)
            limit.cancel()

    assert code == 130
    assert f"verify with: egops upgrade verify --snapshot {record}" in told
    assert "Traceback" not in told
    assert record.stat().st_mode & 0o777 == 0o600
