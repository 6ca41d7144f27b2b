"""The other end of a port-forward or exec: WebSocket and Kubernetes' channels, in a few lines."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import orjson

from tests.gather.api_server import Request

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CHANNELS = "v4.channel.k8s.io"


class Channels:
    """An accepted WebSocket, whose messages start with their channel's number."""

    def __init__(self, request: Request) -> None:
        key = request.headers["Sec-WebSocket-Key"]
        accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
        http = request.http
        http.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept),
            ("Sec-WebSocket-Protocol", CHANNELS),
        ):
            http.send_header(name, value)
        http.end_headers()
        http.wfile.flush()
        http.close_connection = True
        self._in, self._out = http.rfile, http.wfile
        self._lock = threading.Lock()

    def send(self, channel: int, data: bytes) -> None:
        body = bytes([channel]) + data
        length = len(body)
        if length < 126:
            head = struct.pack("!BB", 0x82, length)
        elif length < 1 << 16:
            head = struct.pack("!BBH", 0x82, 126, length)
        else:
            head = struct.pack("!BBQ", 0x82, 127, length)
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._out.write(head + body)
            self._out.flush()

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._out.write(b"\x88\x00")
            self._out.flush()

    def receive(self) -> tuple[int, bytes] | None:
        """Return channel and data of the next message, or None at the end."""
        try:
            head = self._in.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                return None
            length = head[1] & 127
            if length == 126:
                (length,) = struct.unpack("!H", self._in.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._in.read(8))
            mask = self._in.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self._in.read(length)))
        except (OSError, ValueError):
            return None
        return data[0], data[1:]


def forward_to(ports: dict[int, int]) -> Callable[[Request], None]:
    """Return a handler that forwards the pod's ports to ports of this machine."""

    def handle(request: Request) -> None:
        port = int(request.query["ports"])
        channels = Channels(request)
        for channel in (0, 1):
            channels.send(channel, struct.pack("<H", port))
        if port not in ports:
            words = f"dial tcp4 127.0.0.1:{port}: connect: connection refused"
            channels.send(1, f"error forwarding port {port}: {words}".encode())
            channels.close()
            return
        with socket.create_connection(("127.0.0.1", ports[port])) as pod:
            back = threading.Thread(target=_back, args=(pod, channels), daemon=True)
            back.start()
            while (message := channels.receive()) is not None:
                pod.sendall(message[1])
            with contextlib.suppress(OSError):
                pod.shutdown(socket.SHUT_RDWR)
            back.join(5)

    return handle


def _back(pod: socket.socket, channels: Channels) -> None:
    with contextlib.suppress(OSError):
        while data := pod.recv(1 << 16):
            channels.send(0, data)
    channels.close()


def run_commands(answer: Callable[[list[str]], tuple[bytes, str]]) -> Callable[[Request], None]:
    """Return a handler for exec: `answer` takes the command, and gives stdout and an error."""

    def handle(request: Request) -> None:
        command = request.all["command"]
        channels = Channels(request)
        output, error = answer(command)
        if output:
            channels.send(1, output)
        failed = {"status": "Failure", "message": error}
        status: dict[str, Any] = failed if error else {"status": "Success"}
        channels.send(3, orjson.dumps(status))
        channels.close()

    return handle
