"""Spans go where the standard variables say, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

FIXTURE = "tests/rules/gateway/gateway_class_not_found/typo.yaml"


def doctor(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL")}
    return subprocess.run(
        [sys.executable, "-m", "egops", "doctor", "-f", FIXTURE, "-o", "name"],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_spans_reach_the_collector() -> None:
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    done = doctor(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
    )

    server.shutdown()
    server.server_close()
    thread.join()
    assert done.returncode == 1
    spans = [
        span
        for body in received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert {span.name for span in spans} >= {"egops.gather", "egops.judge", "egops.render"}


def test_a_collector_that_is_down_changes_nothing() -> None:
    done = doctor(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    assert (done.returncode, done.stdout) == (1, "EGD-203 Gateway/edge/wrong\n")
