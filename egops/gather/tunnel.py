"""A port of a pod as a stream of bytes, through the API server's port-forward."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from egops.errors import UnreachableError
from egops.gather.api import pod_path
from egops.gather.portforward import CHANNELS, DATA, ERROR, frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gather.api import Api


class Stream(Protocol):
    """As much of a socket as a client needs."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of the bytes."""

    def recv(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            TimeoutError: none came in time.
        """

    def settimeout(self, seconds: float, /) -> None:
        """Take how long `recv` may wait."""


@contextlib.contextmanager
def tunnel(api: Api, namespace: str, pod: str, port: int) -> Iterator[Stream]:
    """Open a port of a pod.

    Raises:
        StatusError, AccessError, UnreachableError: it could not be opened.
    """
    path = pod_path(namespace, pod, "portforward")
    with api.websocket(path, (("ports", str(port)),), CHANNELS) as opened:
        opened.settimeout(api.seconds)
        yield _Tunnel(opened, port)


class _Tunnel:
    def __init__(self, opened: Any, port: int) -> None:
        self._opened = opened
        self._port = port
        self._fresh = {DATA, ERROR}  # channels that have not told their port yet

    def sendall(self, data: bytes) -> None:
        self._opened.send_binary(bytes([DATA]) + data)

    def settimeout(self, seconds: float) -> None:
        self._opened.settimeout(seconds)

    def recv(self, _size: int) -> bytes:
        import websocket  # noqa: PLC0415 - only when a pod is asked

        try:
            return self._next()
        except websocket.WebSocketTimeoutException:
            raise TimeoutError from None

    def _next(self) -> bytes:
        while (message := frame(self._opened)) is not None:
            channel, data = message
            if channel in self._fresh:
                self._fresh.discard(channel)
                data = data[2:]
            if data and channel == ERROR:
                said = data.decode("utf-8", "replace").strip()
                raise UnreachableError(f"port {self._port} of the pod: {said}")
            if data and channel == DATA:
                return data
        return b""
