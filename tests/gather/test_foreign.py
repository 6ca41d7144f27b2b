"""Whatever a library raises ends as one line of ours, and never as a traceback."""

from __future__ import annotations

import http.client
import inspect
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import urllib3
import websocket
from urllib3 import exceptions as u3

from egops.errors import AccessError, EgopsError, InputError, UnreachableError
from egops.gather.asker import CutError, NoAnswerError
from egops.gather.foreign import foreign, mapped, refused


@dataclass
class Ended:
    expired: bool = False
    cut: bool = False


def map_one(exc: BaseException, **ended: bool) -> EgopsError:
    with pytest.raises(EgopsError) as caught, mapped("https://api:6443", 5.0, Ended(**ended)):
        raise exc
    return caught.value


BAD_STATUS = websocket.WebSocketBadStatusException
POOL: Any = urllib3.HTTPSConnectionPool("api")  # some of its errors want a connection


def caused(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("exc", "kind", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), UnreachableError, "connection refused"),
        (ConnectionResetError(104, "reset"), UnreachableError, "closed without an answer"),
        (BrokenPipeError(32, "broken"), UnreachableError, "closed without an answer"),
        (OSError(113, "No route to host"), UnreachableError, "no route to host"),
        (socket.gaierror(-2, "unknown"), UnreachableError, "no such host"),
        (TimeoutError("timed out"), NoAnswerError, "no answer from https://api:6443 within 5 s"),
        (ssl.SSLError(1, "wrong version number"), UnreachableError, "TLS: "),
        (ssl.SSLCertVerificationError("bad"), UnreachableError, "TLS: certificate verify failed"),
        (http.client.RemoteDisconnected("gone"), UnreachableError, "closed without an answer"),
        (http.client.BadStatusLine("hello"), UnreachableError, "the answer is no HTTP"),
        (http.client.IncompleteRead(b"x", 5), UnreachableError, "IncompleteRead"),
        (caused(u3.NewConnectionError(POOL, "x"), ConnectionRefusedError(111, "x")),
         UnreachableError, "connection refused"),
        (u3.NameResolutionError("api", POOL, socket.gaierror()), UnreachableError, "no such host"),
        (u3.ConnectTimeoutError("x"), UnreachableError, "no connection within 5 s"),
        (u3.ReadTimeoutError(POOL, "/", "x"), NoAnswerError, "no answer"),
        (u3.MaxRetryError(POOL, "/", u3.SSLError(ssl.SSLCertVerificationError("x"))),
         UnreachableError, "TLS: certificate verify failed"),
        (u3.ProxyError("x", ConnectionRefusedError(1, "x")), UnreachableError, "through the proxy"),
        (u3.ProtocolError("x", ConnectionResetError(104, "x")), UnreachableError, "closed without"),
        (u3.LocationParseError("http://["), InputError, "is no URL"),
        (websocket.WebSocketTimeoutException("x"), NoAnswerError, "no answer"),
        (websocket.WebSocketConnectionClosedException("x"), UnreachableError, "closed without"),
        (BAD_STATUS("x", 401, "", {}, b""), AccessError, "401"),
        (BAD_STATUS("x", 403, "", {}, b"no"), AccessError, "forbidden: no"),
        (BAD_STATUS("x", 500, "", {}, b"oh"), UnreachableError, "500: oh"),
        (websocket.WebSocketProxyException("x"), UnreachableError, "through the proxy"),
        (requests.ConnectionError(u3.MaxRetryError(POOL, "/", ConnectionRefusedError(111, "x"))),
         UnreachableError, "connection refused"),
        (ValueError("Port could not be cast"), UnreachableError, "Port could not be cast"),
    ],
)  # fmt: skip
def test_each_has_its_kind_and_its_words(
    exc: BaseException, kind: type[EgopsError], words: str
) -> None:
    error = map_one(exc)
    assert type(error) is kind
    assert words in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize("library", [u3, websocket, http.client, requests.exceptions])
def test_no_exception_of_a_library_is_forgotten(library: object) -> None:
    raised = [
        value
        for _, value in inspect.getmembers(library, inspect.isclass)
        if issubclass(value, Exception) and not issubclass(value, Warning)
    ]
    assert raised
    assert [kind for kind in raised if not issubclass(kind, foreign())] == []


def test_time_that_was_up_explains_whatever_the_socket_says() -> None:
    assert type(map_one(OSError(9, "Bad file descriptor"), expired=True)) is NoAnswerError


@pytest.mark.parametrize("exc", [OSError(9, "x"), UnreachableError("x"), NoAnswerError("x")])
def test_a_gathering_that_ended_explains_everything(exc: Exception) -> None:
    assert type(map_one(exc, cut=True)) is CutError


def test_bugs_stay_bugs() -> None:
    with pytest.raises(TypeError), mapped("x", 1.0, Ended()):
        raise TypeError


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, AccessError, "does not accept the credentials"),
        (403, AccessError, "forbidden"),
        (404, UnreachableError, "answered 404: gone"),
        (412, UnreachableError, "answered 412: gone"),
        (429, UnreachableError, "answered 429: gone"),
        (500, UnreachableError, "answered 500: gone"),
        (503, UnreachableError, "answered 503: gone"),
    ],
)
def test_each_status_is_explained(status: int, kind: type[EgopsError], words: str) -> None:
    error = refused(status, b'{"kind": "Status", "message": "gone"}', "https://api")
    assert type(error) is kind
    assert words in error.message
