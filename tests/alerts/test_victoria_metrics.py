"""The rules in a real vmalert over a real VictoriaMetrics: MetricsQL is not quite PromQL."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from egops.monitoring.rulefile import rule_file
from egops.monitoring.rules import rule_groups
from egops.monitoring.values import values
from tests.alerts.test_alertmanager import EXPECTED, HELD, provoke
from tests.monitoring.stack import ROOT, exposition, free_port, job, jobs_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed (Debian has it in the package victoria-metrics)"
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def dry_run(path: Path) -> subprocess.CompletedProcess[str]:
    arguments = [program("vmalert"), "-dryRun", f"-rule={path}"]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("profile", ["default", "full"])
def test_vmalert_accepts_the_rules(profile: str) -> None:
    ran = dry_run(ROOT / "alerts" / f"{profile}.yaml")

    assert ran.returncode == 0, ran.stderr[-800:]


def test_vmalert_refuses_a_rule_that_is_none(tmp_path: Path) -> None:
    text = (ROOT / "alerts" / "full.yaml").read_text("utf-8")
    (tmp_path / "rules.yaml").write_text(text.replace("for: 3m", "for: 3 parsecs"), "utf-8")

    assert dry_run(tmp_path / "rules.yaml").returncode != 0


class Notified:
    """Stands where Alertmanager does and keeps the names of the alerts it is sent."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        notified = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                notified.names |= {alert["labels"]["alertname"] for alert in body}
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def started(folder: Path, name: str, port: int, *arguments: str) -> Iterator[None]:
    """Run a program of VictoriaMetrics until the block ends."""
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [program(name), f"-httpListenAddr=127.0.0.1:{port}", *arguments],
            stdout=log,
            stderr=log,
        )
        try:
            _until_healthy(f"http://127.0.0.1:{port}/health", folder / f"{name}.log")
            yield
        finally:
            process.terminate()
            process.wait(10)


def _until_healthy(url: str, log: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.2)
    pytest.fail(log.read_text()[-800:])


def _until_scraped(url: str, jobs: int) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{url}/api/v1/query?query=count(up)", timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
        if found and int(found[0]["value"][1]) >= jobs:
            return
        time.sleep(0.3)
    pytest.fail("VictoriaMetrics has scraped nothing")


def test_incidents_fire_in_a_real_vmalert_and_nothing_does_before(tmp_path: Path) -> None:
    notified = Notified()
    text = rule_file(rule_groups(values({}, HELD), profile="full")).replace(": 30s\n", ": 1s\n")
    (tmp_path / "rules.yaml").write_text(text.replace("interval: 1m\n", "interval: 1s\n"), "utf-8")
    with exposition() as served:
        jobs = jobs_for(served, "1.3.0")
        served.add("/envoy/stats/prometheus", "envoy-ratelimit-1.3.0")
        served.add("/rl/metrics", "ratelimit-1.3.0")
        served.add("/ksm/metrics", "kube-state-metrics-1.3.0")
        pod = {"namespace": "envoy-gateway-system", "pod": "envoy-ratelimit-1"}
        jobs += [
            job("ratelimit", served.address, "/rl/metrics", **pod),
            job("kube-state-metrics", served.address, "/ksm/metrics"),
        ]
        scrapes = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
        (tmp_path / "scrape.yaml").write_text(json.dumps(scrapes), "utf-8")
        store, alert = free_port(), free_port()
        url = f"http://127.0.0.1:{store}"
        storing = (
            f"-storageDataPath={tmp_path / 'data'}",
            f"-promscrape.config={tmp_path / 'scrape.yaml'}",
            "-search.latencyOffset=1s",
        )
        alerting = (
            f"-rule={tmp_path / 'rules.yaml'}",
            f"-datasource.url={url}",
            f"-remoteWrite.url={url}",
            f"-notifier.url={notified.url}",
            "-evaluationInterval=1s",
        )
        with started(tmp_path, "victoria-metrics", store, *storing):
            _until_scraped(url, len(jobs))
            with started(tmp_path, "vmalert", alert, *alerting):
                time.sleep(10)
                before = set(notified.names)
                served.add("/eg/metrics", "gateway-panic-1.3.0")
                end = time.monotonic() + 60
                step = 0
                while time.monotonic() < end and not notified.names >= EXPECTED:
                    step += 1
                    provoke(served, step)
                    time.sleep(1)
    notified.server.shutdown()
    notified.server.server_close()

    assert before == set()
    assert EXPECTED - notified.names == set()
