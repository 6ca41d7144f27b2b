"""The seam: what sockets, TLS, urllib3 and websocket raise becomes ours, in one line."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from functools import cache
from typing import TYPE_CHECKING, Protocol

from urllib3 import exceptions as u3

from egops.errors import AccessError, EgopsError, InputError, UnreachableError
from egops.gather.asker import CutError, NoAnswerError, said_in

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ending(Protocol):
    """How a request ended from our side."""

    expired: bool  # its time was up
    cut: bool  # the whole gathering ended


@contextlib.contextmanager
def mapped(server: str, seconds: float, call: Ending) -> Iterator[None]:
    """Turn what sockets, TLS, urllib3 and websocket raise into one line of ours."""
    try:
        yield
    except EgopsError:
        if call.cut:
            raise CutError("stopped") from None
        raise
    except foreign() as exc:
        if call.cut:
            raise CutError("stopped") from None
        if call.expired or _is_late(exc):
            raise NoAnswerError(
                f"no answer from {server} within {seconds:g} s",
                hint="raise --request-timeout if the server is only slow",
            ) from None
        raise _explained(exc, server, seconds) from None


@cache
def foreign() -> tuple[type[Exception], ...]:
    """Return what sockets, TLS and the libraries raise."""
    import websocket  # noqa: PLC0415 - its exceptions are needed only once something is read

    return (
        u3.HTTPError, websocket.WebSocketException, http.client.HTTPException, OSError, ValueError,
    )  # fmt: skip


def _is_late(exc: Exception) -> bool:
    if isinstance(exc, u3.ConnectTimeoutError):
        return False
    return isinstance(exc, (u3.ReadTimeoutError, TimeoutError)) or (
        type(exc).__name__ == "WebSocketTimeoutException"
    )


def _explained(exc: Exception, server: str, seconds: float) -> EgopsError:
    import websocket  # noqa: PLC0415 - see `foreign`

    if isinstance(exc, websocket.WebSocketBadStatusException):
        return refused(exc.status_code, bytes(exc.resp_body or b""), server)
    if isinstance(exc, u3.LocationValueError):
        return InputError(f"{server} is no URL")
    reason = _reason(exc, seconds)
    hint = "is it up, and is this the right address?"
    if reason.startswith("TLS"):
        hint = (
            "the certificate authority given must be the one that signed the server's certificate"
        )
    if isinstance(exc, u3.ProxyError) or type(exc).__name__ == "WebSocketProxyException":
        hint = "a proxy is set: see HTTPS_PROXY, NO_PROXY and the kubeconfig's proxy-url"
        reason = f"through the proxy: {reason}"
    return UnreachableError(f"cannot reach {server}: {reason}", hint=hint)


def _reason(exc: BaseException, seconds: float) -> str:
    """Return the first cause in words."""
    seen = set()
    while id(exc) not in seen:
        seen.add(id(exc))
        if found := _words(exc, seconds):
            return found
        inner = getattr(exc, "reason", None) or exc.__cause__ or exc.__context__
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in exc.args if isinstance(arg, BaseException)), exc)
        exc = inner
    return " ".join(str(exc).split()) or type(exc).__name__


CLOSED = "the connection was closed without an answer"


def _words(exc: BaseException, seconds: float) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        # OpenSSL fills these in, Python's own code does not
        return f"TLS: certificate verify failed: {getattr(exc, 'verify_message', '') or exc}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS: {(getattr(exc, 'reason', '') or str(exc)).replace('_', ' ').lower()}"
    if isinstance(exc, u3.ConnectTimeoutError) and not isinstance(exc, u3.NewConnectionError):
        return f"no connection within {seconds:g} s"
    known: dict[tuple[type[BaseException], ...], str] = {
        (u3.NameResolutionError, socket.gaierror): "no such host",
        (ConnectionRefusedError,): "connection refused",
        (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected): CLOSED,
        (http.client.BadStatusLine,): "the answer is no HTTP",
    }
    for types, words in known.items():
        if isinstance(exc, types):
            return words
    if type(exc).__name__ == "WebSocketConnectionClosedException":
        return CLOSED
    return exc.strerror.lower() if isinstance(exc, OSError) and exc.strerror else ""


def refused(status: int, body: bytes, server: str) -> EgopsError:
    """Return the error for an HTTP status that is no success."""
    said = said_in(body)
    if status == 401:
        return AccessError(
            f"{server} does not accept the credentials (401 Unauthorized)",
            hint="the token may have expired: log in again, or choose another --context",
        )
    if status == 403:
        return AccessError(f"forbidden: {said or 'no reason given'}")
    return UnreachableError(f"{server} answered {status}" + (f": {said}" if said else ""))
