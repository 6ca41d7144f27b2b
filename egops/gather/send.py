"""Send one request to a proxy that was looked at: through a port-forward, or beside its admin port.

The only place where egops talks to a proxy as a client does; nothing is sent unless asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from egops.errors import InputError, UnreachableError
from egops.prove import Answer, client_context, exchange, server_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gather import SourceOptions
    from egops.gather.tunnel import Stream
    from egops.snapshot import Proxy
    from egops.xds.match_request import Request
    from egops.xds.walk import Verdict


CLOSED = ("connection reset by peer", "broken pipe", "EOF")
"""What a port-forward says of a port whose process hangs up, unlike one where nobody listens."""


def send(source: SourceOptions, proxy: Proxy, verdict: Verdict) -> dict[str, Any]:
    """Return what the proxy answered to the request of a verdict, and whether they agree.

    Raises:
        EgopsError: the proxy can't be reached, or it is a saved dump.
    """
    assert verdict.listener is not None
    request = verdict.request
    with _stream(source, proxy, verdict.listener.port) as stream:
        try:
            secure = _Tls(stream, request) if request.scheme == "https" else stream
            answer = exchange(secure, request)
        except (OSError, ssl.SSLError):
            answer = Answer(None)
        except UnreachableError as exc:
            if not any(word in exc.message for word in CLOSED):
                raise
            answer = Answer(None)
    problem = contradiction(verdict, answer)
    said = "the connection is closed" if answer.status is None else f"answers {answer.status}"
    return {
        "agrees": not problem,
        "text": problem or f"{proxy.name} agrees: {said}",
        "status": answer.status,
        "location": answer.headers.get("location"),
    }


def contradiction(verdict: Verdict, answer: Answer) -> str:
    """Return in what a live answer contradicts a verdict, or nothing; routes are not visible."""
    if verdict.outcome == "unknown":
        return ""
    if verdict.outcome == "closed" or (verdict.outcome == "rejected" and verdict.status is None):
        return "" if answer.status is None else f"the proxy answers {answer.status}"
    if answer.status is None:
        return f"the proxy closes the connection, not {verdict.outcome}"
    if verdict.status is not None and verdict.status != answer.status:
        return f"the proxy answers {answer.status}, not {verdict.status}"
    if verdict.location is not None and verdict.location != answer.headers.get("location"):
        return f"the proxy points to {answer.headers.get('location')}, not {verdict.location}"
    return ""


@contextlib.contextmanager
def _stream(source: SourceOptions, proxy: Proxy, port: int) -> Iterator[Stream]:
    if proxy.pod is not None:
        with _tunnel(source, proxy, port) as tunnel:
            yield tunnel
        return
    host = urlsplit(proxy.name).hostname if "://" in proxy.name else None
    if host is None:
        raise InputError(
            f"{proxy.name} is a saved dump: there is no proxy to send to",
            hint="use --prove, or name a proxy with --admin URL or a cluster",
        )
    try:
        sock = socket.create_connection((host, port), source.request_timeout)
    except OSError as exc:
        raise UnreachableError(f"nobody answers at {host}:{port}: {exc}") from None
    with contextlib.closing(sock):
        yield sock


@contextlib.contextmanager
def _tunnel(source: SourceOptions, proxy: Proxy, port: int) -> Iterator[Stream]:
    from egops.gather.api import Api  # noqa: PLC0415 - loads the Kubernetes client
    from egops.gather.http import Calls  # noqa: PLC0415 - as above
    from egops.gather.kubeconfig import connect  # noqa: PLC0415 - as above
    from egops.gather.tunnel import tunnel  # noqa: PLC0415 - as above

    assert proxy.pod is not None
    api = Api(connect(source), Calls(), source.request_timeout)
    with tunnel(api, proxy.pod.namespace, proxy.pod.name, port) as opened:
        yield opened


class _Tls:
    """TLS over any stream; the certificate is not judged, only the route is of interest."""

    def __init__(self, stream: Stream, request: Request) -> None:
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = server_name(request) or None
        self._tls = client_context(request).wrap_bio(self._in, self._out, server_hostname=name)
        self._run(self._tls.do_handshake)

    def _run(self, step: Any) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._stream.recv(65536)
                if not data:
                    raise OSError("closed") from None
                self._in.write(data)
                continue
            self._flush()
            return result

    def _flush(self) -> None:
        if data := self._out.read():
            self._stream.sendall(data)

    def sendall(self, data: bytes) -> None:
        self._run(lambda: self._tls.write(data))

    def recv(self, size: int) -> bytes:
        try:
            return bytes(self._run(lambda: self._tls.read(size)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
