"""Envoys behind URLs and in saved dumps."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from egops.errors import EgopsError, InputError, TimeoutReached, UnreachableError
from egops.gather import SourceOptions, Wanted, gather
from egops.snapshot import PROXY_PROBES, Probe, SourceType
from tests.gather.api_server import Request, serving

LISTENERS = {
    "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
    "dynamic_listeners": [{"name": "shop/eg/http", "active_state": {"listener": {"name": "l"}}}],
}
DUMP = orjson.dumps({"configs": [LISTENERS]})


def saved(*files: str, **options: Any) -> Any:
    source = SourceOptions(config_dumps=files, **options)
    return gather(source, Wanted(probes=PROXY_PROBES))


# ------------------------------------------------------------------ saved dumps


@pytest.mark.parametrize(
    "content", [DUMP, gzip.compress(DUMP), orjson.dumps(LISTENERS)], ids=["plain", "gz", "section"]
)
def test_a_saved_dump_is_a_proxy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(content)
    snapshot = saved(str(path))
    (proxy,) = snapshot.proxies
    assert snapshot.source.type is SourceType.ENVOY
    assert proxy.name == str(path)
    assert [listener.name for listener in proxy.config.listeners] == ["shop/eg/http"]
    assert proxy.failures[Probe.STATS] == f"{path} is a saved config dump and holds nothing else"


def test_a_dump_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DUMP)))
    (proxy,) = saved("-").proxies
    assert proxy.name == "standard input"
    assert proxy.config.listeners


def test_egctls_output_of_several_pods_is_several_proxies(tmp_path: Path) -> None:
    path = tmp_path / "egctl.json"
    dump = {"configs": [LISTENERS]}
    path.write_bytes(orjson.dumps({"envoy-gateway-system": {"pod-a": dump, "pod-b": dump}}))
    proxies = saved(str(path)).proxies
    assert [proxy.name for proxy in proxies] == [
        "envoy-gateway-system/pod-a",
        "envoy-gateway-system/pod-b",
    ]
    assert [len(proxy.config.listeners) for proxy in proxies] == [1, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (DUMP[:60], "cut off"),
        (b"hello", "not JSON"),
        (b'{"a": 1}', "keys a"),
        (gzip.compress(b"garbage"), "not JSON"),
        (gzip.compress(DUMP)[:-9], "cannot read"),
        (b"\x1f\x8bnonsense", "cannot read"),
    ],
    ids=["empty", "html", "cut", "text", "object", "gz text", "cut gz", "no gz"],
)
def test_what_is_no_dump_stops_and_says_what_it_is(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "dump.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        saved(str(path))
    assert str(path) in caught.value.message


def test_what_is_no_dump_among_good_ones_is_broken_input(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(DUMP)
    bad.write_bytes(b"<html>")
    snapshot = saved(str(good), str(bad))
    assert len(snapshot.proxies) == 1
    assert [broken.file for broken in snapshot.broken] == [str(bad)]


def test_a_dump_is_parsed_once(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(DUMP)
    (proxy,) = saved(str(path)).proxies
    assert "config" in vars(proxy)


# ------------------------------------------------------------------ URLs


def ask(url: str, *probes: Probe, **options: Any) -> Any:
    options.setdefault("request_timeout", 1.0)
    options.setdefault("window", 0.1)
    source = SourceOptions(admin=(url,), **options)
    return gather(source, Wanted(probes=frozenset(probes)))


@pytest.mark.envoy
def test_a_real_envoy_answers_every_probe() -> None:
    from egops.envoy import binary, running

    try:
        binary()
    except EgopsError as exc:
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"{exc.message}: {exc.hint}")
    with running({"static_resources": {"clusters": [{"name": "local_service"}]}}) as envoy:
        snapshot = ask(envoy.admin, *PROXY_PROBES, request_timeout=20.0)
    (proxy,) = snapshot.proxies
    assert proxy.failures == {
        Probe.PROXY_LOG: "an admin address has no log",
        Probe.LISTENER_TLS: "an admin address does not lead to the listeners",
    }
    assert proxy.server_info.state == "LIVE"
    assert proxy.stats.get("server.live") == 1
    assert proxy.stats_again.get("server.live") == 1
    assert [entry.cluster.name for entry in proxy.config.clusters] == ["local_service"]
    assert proxy.config.has_endpoints
    assert proxy.clusters.by_name.keys() == {"local_service"}
    assert proxy.certs.certificates == []


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://127.0.0.1:999999", "http://[::1", "http://:19000"]
)
def test_a_url_that_is_none_stops(url: str) -> None:
    with pytest.raises(InputError, match="is no URL"):
        ask(url, Probe.STATS)


def test_a_url_where_nobody_listens_stops() -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: connection refused"):
        ask("127.0.0.1:1", Probe.STATS)


def never(release: threading.Event) -> Any:
    return lambda _: release.wait(20) or None


def test_a_url_that_never_answers_stops_in_time() -> None:
    release = threading.Event()
    with serving(never(release)) as url:
        start = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer"):
            ask(url, *PROXY_PROBES)
        assert time.monotonic() - start < 10
        release.set()


def test_a_url_that_drips_stops_in_time() -> None:
    with serving(lambda request: request.drip(20)) as url:
        start = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer"):
            ask(url, Probe.STATS)
        assert time.monotonic() - start < 10


def chunks(request: Request, piece: bytes, count: int, pause: float) -> None:
    """Answer in chunks."""
    request.http.send_response(200)
    request.http.send_header("transfer-encoding", "chunked")
    request.http.end_headers()
    for _ in range(count):
        request.http.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        request.http.wfile.flush()
        time.sleep(pause)
    request.http.wfile.write(b"0\r\n\r\n")


def test_chunks_that_drip_stop_in_time() -> None:
    with serving(lambda request: chunks(request, b" ", 400, 0.05)) as url:
        start = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer"):
            ask(url, Probe.STATS)
        assert time.monotonic() - start < 10


def test_a_long_answer_gets_the_time_it_needs() -> None:
    blank = b" " * (1 << 20)

    def handle(request: Request) -> None:
        if request.path == "/stats":
            chunks(request, blank, 10, 0.2)
        else:
            request.json({"certificates": []})

    with serving(handle) as url:
        (proxy,) = ask(url, Probe.STATS, Probe.CERTS).proxies
    assert "not Envoy's stats" in proxy.failures[Probe.STATS]  # it came whole: ten blank megabytes
    assert proxy.has(Probe.CERTS)


def test_headers_that_drip_stop_in_time() -> None:
    def handle(request: Request) -> None:
        request.http.wfile.write(b"HTTP/1.1 200 OK\r\n")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            request.http.wfile.write(b"x-drip: 1\r\n")
            time.sleep(0.3)

    with serving(handle) as url:
        start = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer"):
            ask(url, Probe.STATS)
        assert time.monotonic() - start < 10


def test_the_time_of_the_command_bounds_urls_too() -> None:
    release = threading.Event()
    with serving(never(release)) as url:
        with pytest.raises(TimeoutReached):
            ask(url, Probe.STATS, request_timeout=20.0, timeout=0.5)
        release.set()


def test_a_web_page_is_a_failure_of_each_document() -> None:
    with serving(lambda request: request.send(200, b"<html></html>", "text/html")) as url:
        (proxy,) = ask(url, Probe.STATS, Probe.CONFIG_DUMP).proxies
    assert not proxy.documents
    assert set(proxy.failures) == {Probe.STATS, Probe.CONFIG_DUMP, Probe.PROXY_LOG}


def test_a_redirect_is_not_followed() -> None:
    def handle(request: Request) -> None:
        assert request.path == "/stats"
        request.send(302, b"", location="http://198.51.100.1/")

    with serving(handle) as url:
        (proxy,) = ask(url, Probe.STATS).proxies
    assert proxy.failures[Probe.STATS] == "/stats?format=json answered 302"


def test_a_password_in_a_url_is_sent_and_not_told() -> None:
    seen: list[str] = []

    def handle(request: Request) -> None:
        seen.append(request.headers["Authorization"])
        request.json({"stats": []})

    with serving(handle) as url:
        snapshot = ask(url.replace("http://", "http://user:s3cret@"), Probe.STATS)
    assert seen == ["Basic dXNlcjpzM2NyZXQ="]
    assert snapshot.proxies[0].name == snapshot.source.context == url


@pytest.mark.parametrize("port", ["1", "99999999"])
def test_a_password_in_a_url_is_not_told_in_errors_either(port: str) -> None:
    with pytest.raises(EgopsError) as caught:
        ask(f"http://user:s3cret@127.0.0.1:{port}", Probe.STATS)
    assert "s3cret" not in caught.value.message
