"""A real Prometheus on loopback that scrapes recorded metrics of real Envoy Gateways and Envoys."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "monitoring"
ROOT = Path(__file__).resolve().parents[2]


class Exposition:
    """Serves texts by path; a test may change them while it runs."""

    def __init__(self) -> None:
        texts: dict[str, str] = {}
        self.texts = texts

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = texts.get(self.path)
                self.send_response(200 if body is not None else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write((body or "").encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def add(self, path: str, name: str) -> None:
        self.texts[path] = (FIXTURES / f"{name}.prom").read_text("utf-8")


def binary() -> str:
    found = shutil.which(os.environ.get("PROMETHEUS", "prometheus"))
    if found is None:
        reason = "prometheus is not installed (Debian has it in the package prometheus)"
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def job(name: str, address: str, path: str, **labels: str) -> dict[str, object]:
    """Return a scrape job whose one target carries these labels."""
    return {
        "job_name": name,
        "metrics_path": path,
        "honor_labels": name == "kube-state-metrics",
        "static_configs": [{"targets": [address], "labels": labels}],
    }


@contextlib.contextmanager
def running(
    folder: Path, jobs: list[dict[str, object]], rules: str = "", *, alertmanager: str = ""
) -> Iterator[str]:
    """Run a Prometheus and yield its URL once it has scraped every target twice."""
    program = binary()
    config: dict[str, object] = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": jobs,
        "rule_files": [],
    }
    if rules:
        (folder / "rules.yaml").write_text(rules, "utf-8")
        config["rule_files"] = [str(folder / "rules.yaml")]
    if alertmanager:
        targets = [{"targets": [alertmanager]}]
        config["alerting"] = {"alertmanagers": [{"static_configs": targets}]}
    (folder / "prometheus.yml").write_text(json.dumps(config), "utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        _until_scraped(url, len(jobs), folder)
        yield url
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _until_scraped(url: str, jobs: int, folder: Path) -> None:
    end = time.monotonic() + 40
    query = f"{url}/api/v1/query?query=count(count_over_time(up[30s])>=3)"
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(query, timeout=2) as answer:
            result = json.load(answer)["data"]["result"]
            if result and int(result[0]["value"][1]) >= jobs:
                return
        time.sleep(0.3)
    pytest.fail(f"Prometheus did not scrape: {(folder / 'log').read_text()[-800:]}")


@contextlib.contextmanager
def exposition() -> Iterator[Exposition]:
    made = Exposition()
    made.thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


EG_POD = {"namespace": "envoy-gateway-system", "pod": "envoy-gateway-7d4"}
ENVOY_POD = {"namespace": "envoy-gateway-system", "pod": "envoy-demo-eg-0d68e7be-6c59f59b76-r8cxk"}


def jobs_for(served: Exposition, release: str) -> list[dict[str, object]]:
    """Return jobs for an Envoy Gateway and an Envoy of a release."""
    served.add("/eg/metrics", f"gateway-{release}")
    served.add("/envoy/stats/prometheus", f"envoy-{release}")
    return [
        job("envoy-gateway", served.address, "/eg/metrics", **EG_POD),
        job("envoy", served.address, "/envoy/stats/prometheus", **ENVOY_POD),
    ]
