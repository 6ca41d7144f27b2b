"""The demo is the first thing a newcomer sees: it must find what was planted."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from egops.demo.world import world
from egops.envoy import binary

pytestmark = [pytest.mark.envoy, pytest.mark.xdist_group("envoy")]

PLANTED = {
    "EGD-203": "Gateway demo/partners",
    "EGD-241": "HTTPRoute demo/checkout",
    "EGD-246": "HTTPRoute demo/plain-v2",
    "EGD-402": "Secret demo/demo-tls",
    "EGD-441": "Gateway demo/eg",
}


def egops(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "egops", *words], capture_output=True, text=True, check=False
    )


def test_the_demo_runs_to_its_end_and_cleans_up() -> None:
    binary()

    done = egops("demo")

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for expected in ("HTTPRoute/demo/canary/0", "EGD-441", "→ 404", "Try next:"):
        assert expected in done.stdout


def test_the_doctor_finds_the_planted_faults_and_no_others() -> None:
    with world() as here:
        done = egops(
            "doctor", "-f", str(here.folder), "--admin", here.admin, "-o", "json", "--window", "0"
        )

    report = json.loads(done.stdout)
    found = {
        finding["code"]: "{kind} {namespace}/{name}".format(**finding["object"])
        for finding in [*report["findings"], *report["folded"]]
        if finding["severity"] != "info"
    }
    assert report["crashed"] == []
    assert done.returncode == 1
    assert set(PLANTED) <= set(found) <= {*PLANTED, "EGD-501", "EGD-445", "EGD-345"}
    assert found["EGD-203"] == PLANTED["EGD-203"]
    assert found["EGD-241"] == PLANTED["EGD-241"]
