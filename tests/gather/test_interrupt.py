"""Ctrl-C ends a reading at once and leaves nothing running."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.gather.api_server import api_server

PROGRAM = """
import sys, threading
from egops.gather import SourceOptions, Wanted, gather
from egops.gatewayapi import SERVICE, POD
print("started", flush=True)
try:
    gather(SourceOptions(kubeconfig=sys.argv[1], request_timeout=60), Wanted({SERVICE, POD}))
except KeyboardInterrupt:
    print([t.name for t in threading.enumerate() if t.name == "egops-gather"])
    sys.exit(130)
"""


@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_ctrl_c_ends_the_requests_under_way(how: str, tmp_path: Path) -> None:
    release, asked = threading.Event(), threading.Event()
    with api_server() as api:

        def handle(request: object) -> None:
            asked.set()
            if how == "silent":
                release.wait(30)
            else:
                request.drip(30)  # type: ignore[attr-defined]

        api.handlers["/api/v1/services"] = api.handlers["/api/v1/pods"] = handle
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, api.kubeconfig(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert asked.wait(30)
        time.sleep(0.2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert time.monotonic() - start < 5
        release.set()
    assert process.returncode == 130
    assert output.splitlines() == ["started", "[]"]
    assert errors == ""
