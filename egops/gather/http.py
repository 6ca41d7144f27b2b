"""HTTP within limits: each request ends at its deadline, has a size cap, and can be cut.

A socket's timeout limits one read only, so a server that drips bytes gets past it. Here a timer
shuts the socket down instead.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import urllib3

from egops.errors import UnreachableError
from egops.gather.asker import Answer, CutError
from egops.gather.foreign import mapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES = 1 << 30
CHUNK = 1 << 16
SLOWEST = 1 << 18  # bytes in a second: a long answer gets more time only as fast as it comes


class Call:
    """One request under way; times are of the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        """Take the time it may need in all."""
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.expired = False
        self.cut = False
        self._socket: Any = None

    def attach(self, connection: Any) -> None:
        """Take the socket to shut down when time is up."""
        self._socket = connection
        if self.expired or self.cut:
            self.end()

    def received(self, count: int) -> None:
        """Give a long answer the time it needs, as long as it comes fast enough."""
        self.deadline += count / SLOWEST

    def end(self) -> None:
        """Shut the socket down; whoever reads from it wakes up."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                # the plain one, for TLS too: its own would take the socket from under the reader
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Calls:
    """The requests under way in one gathering."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._open: set[Call] = set()
        self._cut = threading.Event()

    @contextlib.contextmanager
    def call(self, server: str, seconds: float) -> Iterator[Call]:
        """Run one request: foreign exceptions become ours, and time is up after `seconds`.

        Raises:
            UnreachableError, AccessError: what went wrong, `server` named.
            NoAnswerError: time was up.
            CutError: the gathering ended.
        """
        call = Call(seconds)
        with self._lock:
            if self._cut.is_set():
                raise CutError("stopped")
            self._open.add(call)
        timer = self._watch(call)
        _current.call = call
        try:
            with mapped(server, seconds, call):
                yield call
        finally:
            _current.call = None
            timer.cancel()
            with self._lock:
                self._open.discard(call)

    def _watch(self, call: Call) -> threading.Timer:
        def ring() -> None:
            while (left := call.deadline - time.monotonic()) > 0:
                if timer.finished.wait(left):
                    return
            call.expired = True
            call.end()

        timer = threading.Timer(call.seconds, ring)
        timer.daemon = True
        timer.start()
        return timer

    def sleep(self, seconds: float) -> None:
        """Wait, unless the gathering ends before.

        Raises:
            CutError: it ended.
        """
        if self._cut.wait(seconds):
            raise CutError("stopped")

    def cut(self) -> None:
        """End every request, now and to come."""
        self._cut.set()
        with self._lock:
            calls = list(self._open)
        for call in calls:
            call.cut = True
            call.end()


_current = threading.local()


# ------------------------------------------------------------------ requests


def watched(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Make the manager's connections tell the running call their socket, and return it."""
    manager.pool_classes_by_scheme = {
        scheme: _watched_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


@cache
def _watched_pool(pool: Any) -> Any:
    base = pool.ConnectionCls

    def getresponse(self: Any) -> Any:
        if (call := getattr(_current, "call", None)) is not None:
            call.attach(self.sock)
        return base.getresponse(self)

    connection = type(f"Watched{base.__name__}", (base,), {"getresponse": getresponse})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": connection})


def fetch(
    pool: urllib3.PoolManager,
    url: str,
    calls: Calls,
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer to a GET, whatever its status. Redirects are not followed.

    Raises:
        UnreachableError, AccessError, NoAnswerError, CutError: see `Calls.call`.
    """
    server = server_of(url)
    with calls.call(server, seconds) as call:
        response = pool.urlopen(
            "GET",
            url,
            headers=headers,
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
        )
        try:
            body = read_capped(response.stream(CHUNK, decode_content=True), call, server)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        if call.expired:  # a shut socket may look like the end of the answer
            raise TimeoutError
        return Answer(response.status, body, response.headers)


def read_capped(chunks: Iterator[bytes], call: Call, server: str) -> bytes:
    """Return the chunks joined, at most MAX_BYTES.

    Raises:
        UnreachableError: it is more than that.
    """
    found, size = [], 0
    for chunk in chunks:
        found.append(chunk)
        size += len(chunk)
        call.received(len(chunk))
        if size > MAX_BYTES:
            raise UnreachableError(f"the answer of {server} is larger than {MAX_BYTES >> 30} GiB")
    return b"".join(found)


def server_of(url: str) -> str:
    """Return the part of a URL that names the server, without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class UrlAsker:
    """An admin address that can be reached directly."""

    def __init__(self, url: str, pool: urllib3.PoolManager, calls: Calls, seconds: float) -> None:
        """Take the URL without a path; user and password in it are sent as credentials."""
        parsed = urllib3.util.parse_url(url)
        self._url = parsed._replace(auth=None).url.rstrip("/")
        self._headers = {"accept-encoding": "gzip", "user-agent": "egops"}
        if parsed.auth:
            self._headers |= urllib3.util.make_headers(basic_auth=unquote(parsed.auth))
        self._pool, self._calls, self._seconds = pool, calls, seconds

    def ask(self, path: str) -> Answer:
        """Return the answer to a GET."""
        return fetch(self._pool, self._url + path, self._calls, self._seconds, self._headers)

    def close(self) -> None:
        """Do nothing: the pool keeps its connections."""
