"""Answers have a size cap, and requests end when they are told to."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
import urllib3

from egops.errors import UnreachableError
from egops.gather.asker import CutError
from egops.gather.http import Call, Calls, fetch, read_capped, server_of, watched
from tests.gather.api_server import Request, serving


def test_an_endless_answer_is_refused_at_a_gibibyte() -> None:
    block = b"\0" * (1 << 26)  # the same block each time: no memory is needed
    with pytest.raises(UnreachableError, match="larger than 1 GiB"):
        read_capped(itertools.repeat(block), Call(1.0), "http://x")


def test_a_packed_answer_counts_unpacked() -> None:
    import gzip

    body = gzip.compress(b"a" * 100_000)

    def handle(request: Request) -> None:
        request.send(200, body, "text/plain", content_encoding="gzip")

    with serving(handle) as url:
        answer = fetch(watched(urllib3.PoolManager()), url, Calls(), 5.0)
    assert answer.body == b"a" * 100_000


def test_cutting_ends_requests_under_way_and_refuses_new_ones() -> None:
    release, asked = threading.Event(), threading.Event()

    def handle(_: Request) -> None:
        asked.set()
        release.wait(20)

    calls, pool = Calls(), watched(urllib3.PoolManager())
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            fetch(pool, url, calls, 20.0)
        except CutError as exc:
            raised.append(exc)

    with serving(handle) as url:
        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(5)
        start = time.monotonic()
        calls.cut()
        thread.join(5)
        release.set()
        assert time.monotonic() - start < 5
        assert len(raised) == 1
        with pytest.raises(CutError):
            fetch(pool, url, calls, 5.0)
        with pytest.raises(CutError):
            calls.sleep(5)


def test_a_request_leaves_no_timer_behind() -> None:
    before = threading.active_count()
    with serving(lambda request: request.json({})) as url:
        for _ in range(3):
            fetch(watched(urllib3.PoolManager()), url, Calls(), 60.0)
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://user:pw@host:1/path?x", "https://host:1"),
        ("http://[::1]:9/x", "http://[::1]:9"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, server: str) -> None:
    assert server_of(url) == server
