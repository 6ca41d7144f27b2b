"""Incidents through a real Prometheus to a real Alertmanager.

The metrics are recorded from real Envoy Gateways and Envoys; an incident changes them as the real
one does. Holds are cut to a second, so that the test measures the way and not the waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from egops.monitoring.catalogue.registry import ALERTS
from egops.monitoring.rulefile import rule_file
from egops.monitoring.rules import rule_groups
from egops.monitoring.values import values
from tests.monitoring.stack import Exposition, exposition, free_port, job, jobs_for, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HELD = [f"for.{name}=1s" for name in ALERTS]
EXPECTED = {
    "EnvoyGatewayPanicRecovered",
    "EnvoyGatewayNoReadyReplica",
    "EnvoyGatewayNoLeader",
    "EnvoyProxyXdsRejected",
    "EnvoyProxyDisconnected",
    "EnvoyProxyFleetDisconnected",
    "EnvoyControlPlaneTlsVerifyFailing",
    "EnvoyCertReloadFailed",
    "EnvoyCertExpiringSoon",
    "EnvoyCertExpiryCritical",
    "EnvoyProxyNoHealthyUpstream",
    "EnvoyProxyCircuitBreakerOpen",
    "EnvoyProxyErrorBudgetBurnFast",
    "EnvoyRateLimitFailOpen",
    "EnvoyRateLimitRedisErrors",
}


class Receiver:
    """The webhook that Alertmanager sends to."""

    def __init__(self) -> None:
        self.alerts: dict[str, dict[str, Any]] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    receiver.alerts.setdefault(alert["labels"]["alertname"], alert)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"


def binary() -> str:
    wanted = os.environ.get("ALERTMANAGER", "prometheus-alertmanager")
    found = shutil.which(wanted) or shutil.which("alertmanager")
    if found is None:
        reason = "alertmanager is not installed (Debian: package prometheus-alertmanager)"
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextlib.contextmanager
def alertmanager(folder: Path, receiver: Receiver) -> Iterator[str]:
    program = binary()
    config = {
        "route": {
            "receiver": "hook",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "1s",
        },
        "receivers": [{"name": "hook", "webhook_configs": [{"url": receiver.url}]}],
    }
    (folder / "alertmanager.yml").write_text(json.dumps(config), "utf-8")
    port = free_port()
    with (folder / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'am'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def changed(served: Exposition, path: str, pattern: str, value: Callable[[float], float]) -> None:
    """Change the value of every sample whose line matches."""
    lines = []
    for line in served.texts[path].splitlines():
        head, _, number = line.rpartition(" ")
        matched = not line.startswith("#") and re.match(pattern, line)
        lines.append(f"{head} {value(float(number)):g}" if matched else line)
    served.texts[path] = "\n".join(lines) + "\n"


def provoke(served: Exposition, step: int) -> None:
    """Change metrics as the incidents would; counters go on rising with each step."""
    eg, envoy, rl, ksm = "/eg/metrics", "/envoy/stats/prometheus", "/rl/metrics", "/ksm/metrics"
    bump: Callable[[float], float] = lambda number: number + step  # noqa: E731 - used below alike
    changed(served, ksm, r'kube_deployment_status_replicas_ready\{.*"envoy-gateway"', lambda _: 0)
    changed(served, eg, "leader_election_master_status", lambda _: 0)
    changed(served, envoy, "envoy_control_plane_connected_state", lambda _: 0)
    changed(served, envoy, "envoy_listener_manager_lds_update_rejected", bump)
    changed(served, envoy, "envoy_cluster_ssl_fail_verify_error", bump)
    changed(served, envoy, "envoy_sds_xds_certificate_key_rotation_failed", bump)
    changed(served, envoy, "envoy_server_days_until_first_cert_expiring", lambda _: 3)
    changed(served, envoy, r'envoy_cluster_membership_healthy\{.*"httproute', lambda _: 0)
    changed(served, envoy, r"envoy_cluster_circuit_breakers_default_rq_open", lambda _: 1)
    changed(served, envoy, r'envoy_http_downstream_rq_xx\{.*class="5".*"http-', bump)
    changed(served, rl, "ratelimit_service_should_rate_limit_error", bump)
    name = "envoy_cluster_ratelimit_failure_mode_allowed"
    line = f'{name}{{envoy_cluster_name="httproute/demo/limited/rule/0"}} {step}\n'
    served.texts[envoy] = (
        re.sub(rf"^{name}.*\n", "", served.texts[envoy], flags=re.MULTILINE) + line
    )


def test_incidents_reach_a_real_alertmanager(tmp_path: Path) -> None:
    receiver = Receiver()
    text = rule_file(rule_groups(values({}, HELD), profile="full")).replace(": 30s\n", ": 1s\n")
    text = text.replace("interval: 1m\n", "interval: 1s\n")
    with exposition() as served, alertmanager(tmp_path, receiver) as address:
        jobs = jobs_for(served, "1.3.0")
        served.add("/envoy/stats/prometheus", "envoy-ratelimit-1.3.0")
        served.add("/rl/metrics", "ratelimit-1.3.0")
        served.add("/ksm/metrics", "kube-state-metrics-1.3.0")
        pod = {"namespace": "envoy-gateway-system", "pod": "envoy-ratelimit-1"}
        jobs += [
            job("ratelimit", served.address, "/rl/metrics", **pod),
            job("kube-state-metrics", served.address, "/ksm/metrics"),
        ]
        with running(tmp_path, jobs, text, alertmanager=address):
            before = set(receiver.alerts)
            # the first panic is born as 1: no line before, one line after
            served.add("/eg/metrics", "gateway-panic-1.3.0")
            end = time.monotonic() + 60
            step = 0
            while time.monotonic() < end and not set(receiver.alerts) >= EXPECTED:
                step += 1
                provoke(served, step)
                time.sleep(1)
    receiver.server.shutdown()
    receiver.server.server_close()

    assert before == set()
    assert EXPECTED - set(receiver.alerts) == set()
    panic = receiver.alerts["EnvoyGatewayPanicRecovered"]
    assert panic["labels"]["egops_code"] == "EGD-141"
    assert panic["annotations"]["runbook_url"].endswith("/EnvoyGatewayPanicRecovered.md")
