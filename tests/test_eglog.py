"""Reading Envoy Gateway's log: formats of all releases, and which failures are over."""

from __future__ import annotations

import pytest

from egops.eglog import failures, lines
from egops.snapshot import Probe
from tests.rules.snapshots import snapshot_of

UPDATE = (
    "2026-11-24T11:30:00.000Z\tinfo\txds\trunner/runner.go:285\treceived an update"
    '\t{"runner": "xds"}'
)
FAILED = (
    "2026-11-24T11:30:01.000Z\terror\txds\trunner/runner.go:345\tskipped publishing xds resources"
    '\t{"runner": "xds", "error": "rpc error"}'
)


@pytest.mark.parametrize(
    "line",
    [
        FAILED,
        FAILED.replace("2026-11-24T11:30:01.000Z", "1795424092.133"),
        FAILED.replace('"runner": "xds"', '"runner": "xds-translator"'),
        '{"level":"error","ts":"2026-11-24T11:30:01.000Z","msg":"skipped publishing xds resources",'
        '"runner":"xds","error":"rpc error"}',
    ],
)
def test_every_form_tells_time_runner_and_error(line: str) -> None:
    (found,) = lines(line)

    assert found.at is not None
    assert found.level == "error"
    assert found.runner == "xds"
    assert found.error == "rpc error"
    assert found.message.startswith("skipped publishing")


@pytest.mark.parametrize("line", ["", "goroutine 1 [running]:", "\tmain.go:1", "{", "{}", "x\ty"])
def test_other_lines_are_left_out(line: str) -> None:
    assert list(lines(line)) == []


@pytest.mark.parametrize(
    ("log", "over"),
    [
        ([UPDATE, FAILED], False),
        ([UPDATE, FAILED, UPDATE, FAILED], False),
        ([UPDATE, FAILED, UPDATE], True),
        ([UPDATE, FAILED, UPDATE.replace('"xds"', '"infrastructure"')], False),
        ([UPDATE, FAILED, UPDATE, UPDATE, FAILED], False),
    ],
)
def test_failure_is_over_once_the_runner_handled_an_update(log: list[str], over: bool) -> None:
    document = {
        "kind": "ControlPlane",
        "metadata": {"name": "eg"},
        "answers": {"eg_log": "\n".join(log)},
    }

    (found,) = failures(snapshot_of({}, [document]), ["skipped publishing"])

    assert found.is_over is over
    assert found.pod.has(Probe.EG_LOG)
