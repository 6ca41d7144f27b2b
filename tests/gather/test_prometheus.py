"""A Prometheus is asked by URL or found in the cluster; why it says nothing is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egops.errors import InputError
from egops.gatewayapi import SERVICE
from egops.gather import SourceOptions, Wanted, gather
from egops.snapshot import Probe, Snapshot
from tests.gather.api_server import ApiServer, Request, api_server, named, serving

UP = [{"metric": {"job": "eg"}, "value": [1, "1"]}]


class Fake:
    """A Prometheus that knows `up`, and can be told to misbehave."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.odd: Any = None

    def handle(self, request: Request) -> None:
        self.requests.append(request)
        query = request.query.get("query", "")
        if self.odd:
            self.odd(request)
        elif query == "up":
            request.json({"status": "success", "data": {"resultType": "vector", "result": UP}})
        elif query == "nan":
            result = [{"metric": {}, "value": [1, "NaN"]}]
            request.json({"status": "success", "data": {"resultType": "vector", "result": result}})
        else:
            error = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected"}
            request.json(error, 400)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def url(fake: Fake) -> Iterator[str]:
    with serving(fake.handle) as served:
        yield served


def ask(url: str, folder: Path, *queries: str, **options: Any) -> Snapshot:
    manifest = folder / "empty.yaml"
    manifest.write_text("kind: Namespace\napiVersion: v1\nmetadata: {name: a}\n")
    options.setdefault("request_timeout", 1.0)
    source = SourceOptions(files=(str(manifest),), prometheus=url, **options)
    wanted = Wanted(probes=frozenset({Probe.PROMETHEUS}), queries=frozenset(queries))
    return gather(source, wanted)


def test_queries_are_answered(url: str, tmp_path: Path) -> None:
    snapshot = ask(url, tmp_path, "up", "nan")
    assert snapshot.prometheus["up"] == UP
    assert snapshot.prometheus["nan"][0]["value"][1] == "NaN"
    assert not snapshot.unprobed
    assert not snapshot.notes


def test_a_query_that_is_wrong_is_told_and_the_others_are_answered(
    url: str, tmp_path: Path
) -> None:
    snapshot = ask(url, tmp_path, "up", "up{")
    assert set(snapshot.prometheus) == {"up"}
    assert snapshot.notes == (f"{url}: PromQL error: parse error: unexpected in the query up{{",)


def test_credentials_and_headers_go_along(fake: Fake, url: str, tmp_path: Path) -> None:
    ask(url, tmp_path, "up", prometheus_token="t", prometheus_headers=("X-Scope-OrgID: team",))
    headers = fake.requests[-1].headers
    assert headers["Authorization"] == "Bearer t"
    assert headers["X-Scope-OrgID"] == "team"
    ask(url, tmp_path, "up", prometheus_user="a:b")
    assert fake.requests[-1].headers["Authorization"] == "Basic YTpi"
    snapshot = ask(url.replace("http://", "http://a:b@"), tmp_path, "up{")
    assert fake.requests[-1].headers["Authorization"] == "Basic YTpi"
    assert "a:b" not in str(snapshot.notes)


def test_no_secret_is_in_the_options_text() -> None:
    source = SourceOptions(
        prometheus_token="s3cret", prometheus_user="a:s3cret", prometheus_headers=("X: s3cret",)
    )
    assert "s3cret" not in repr(source)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html></html>", "is no Prometheus: it answers an HTML page"),
        (200, b"{}", "is no Prometheus"),
        (200, b"", "is no Prometheus"),
        (302, b"", "sends us elsewhere"),
        (401, b"", "does not accept the credentials"),
        (401, b"no org id\n", "wants a tenant (401): no org id"),
        (403, b"no tenant", "forbidden: no tenant"),
        (404, b"nothing here", "answered 404: nothing here"),
        (422, b'{"status":"error","errorType":"execution","error":"too many"}', "too many"),
        (429, b"slow down", "answered 429: slow down"),
        (503, b'{"status":"error","errorType":"timeout","error":"query timed out"}', "timed out"),
        (500, b"boom", "answered 500: boom"),
    ],
)
def test_every_other_answer_has_its_reason(
    status: int, body: bytes, words: str, fake: Fake, url: str, tmp_path: Path
) -> None:
    fake.odd = lambda request: request.send(status, body, "text/plain")
    snapshot = ask(url, tmp_path, "up")
    told = " ".join((*snapshot.unprobed.values(), *snapshot.notes))
    assert words in told
    assert not snapshot.prometheus


def test_a_prometheus_that_never_answers_is_a_reason(fake: Fake, url: str, tmp_path: Path) -> None:
    release = threading.Event()
    fake.odd = lambda _: release.wait(20)
    snapshot = ask(url, tmp_path, "up")
    release.set()
    assert snapshot.unprobed == {Probe.PROMETHEUS: f"no answer from {url} within 1 s"}


def test_a_proxy_of_the_environment_is_used(
    fake: Fake, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    snapshot = ask("http://prometheus.invalid:9090", tmp_path, "up")
    assert snapshot.prometheus == {"up": UP}
    assert fake.requests[0].headers["Host"] == "prometheus.invalid:9090"
    monkeypatch.setenv("no_proxy", "prometheus.invalid")
    snapshot = ask("http://prometheus.invalid:9090", tmp_path, "up")
    assert "no such host" in snapshot.unprobed[Probe.PROMETHEUS]


def test_nobody_there_is_a_reason(tmp_path: Path) -> None:
    snapshot = ask("http://127.0.0.1:1", tmp_path, "up")
    assert "connection refused" in snapshot.unprobed[Probe.PROMETHEUS]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prometheus_ca": "/nowhere/ca.pem"}, "does not exist"),
        ({"prometheus_headers": ("nonsense",)}, "Name: value"),
    ],
)
def test_options_that_are_wrong_stop(
    options: dict[str, Any], words: str, url: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        ask(url, tmp_path, "up", **options)


def test_files_without_a_prometheus_say_so(tmp_path: Path) -> None:
    assert ask("", tmp_path).unprobed == {
        Probe.PROMETHEUS: "no Prometheus was given (--prometheus)"
    }


# ------------------------------------------------------------------ in a cluster


def service(
    name: str, port: int = 9090, port_name: str = "web", *, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    ports = [{"name": "reloader", "port": 8080}, {"name": port_name, "port": port}]
    return named(name, "monitoring", metadata={"labels": labels or {}}, spec={"ports": ports})


def find(api: ApiServer, fake: Fake, folder: Path, proxied: str) -> Snapshot:
    path = f"/api/v1/namespaces/monitoring/services/{proxied}/proxy/api/v1/query"
    api.handlers[path] = fake.handle
    wanted = Wanted(queries=frozenset({"up"}))
    return gather(api.source(folder), wanted)


@pytest.mark.parametrize(
    ("services", "proxied"),
    [
        ([service("prometheus-operated", labels={"operated-prometheus": "true"})],
         "prometheus-operated:9090"),
        ([service("mine", 80, "http", labels={"app": "prometheus"})], "mine:80"),
        ([service("prom", 443, "https", labels={"app.kubernetes.io/name": "prometheus"})],
         "https:prom:443"),
        ([service("prometheus-operated", labels={"operated-prometheus": "true"}),
          service("stack-prometheus", labels={"app": "kube-prometheus-stack-prometheus"}),
          service("prometheus-node-exporter", 9100, labels={"app": "prometheus"}),
          service("prometheus-operator", labels={"app": "prometheus"})], "stack-prometheus:9090"),
        ([service("prometheus-server", 80, "http")], "prometheus-server:80"),
    ],
)  # fmt: skip
def test_a_prometheus_of_the_cluster_is_asked_through_the_api(
    services: list[dict[str, Any]], proxied: str, fake: Fake, tmp_path: Path
) -> None:
    with api_server(objects={SERVICE: services}) as api:
        snapshot = find(api, fake, tmp_path, proxied)
    assert snapshot.prometheus == {"up": UP}
    assert fake.requests[0].headers["Authorization"] == "Bearer t0"


def test_a_cluster_without_a_prometheus_says_so(fake: Fake, tmp_path: Path) -> None:
    with api_server(objects={SERVICE: [service("alertmanager")]}) as api:
        snapshot = find(api, fake, tmp_path, "x")
    reason = "no Prometheus was found in the cluster; name one with --prometheus"
    assert snapshot.unprobed == {Probe.PROMETHEUS: reason}


def test_a_service_that_may_not_be_reached_is_a_reason(fake: Fake, tmp_path: Path) -> None:
    said = 'services "prometheus" is forbidden: User "ci" cannot get resource "services/proxy" in'
    said += ' API group "" in the namespace "monitoring"'
    fake.odd = lambda request: request.status(403, said)
    with api_server(objects={SERVICE: [service("prometheus")]}) as api:
        snapshot = find(api, fake, tmp_path, "prometheus:9090")
    assert snapshot.unprobed == {
        Probe.PROMETHEUS: 'forbidden: get services/proxy in namespace monitoring for user "ci"'
    }
