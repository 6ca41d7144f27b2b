"""A port of a pod, through the API server: HTTP over a port-forward, or `exec` of curl or wget.

Both speak Kubernetes' channel protocol: each WebSocket frame starts with its channel's number.
"""

from __future__ import annotations

import contextlib
import http.client
import io
from typing import TYPE_CHECKING, Any

import orjson

from egops.errors import EgopsError, UnreachableError
from egops.gather.api import pod_path
from egops.gather.asker import Answer, NoAnswerError
from egops.gather.http import CHUNK, read_capped

if TYPE_CHECKING:
    from egops.gather.api import Api

CHANNELS = "v4.channel.k8s.io"
DATA, ERROR = 0, 1  # of a port-forward
STDOUT, STDERR, RESULT = 1, 2, 3  # of exec


class PortForward:
    """One port of one pod. The tunnel opens at the first request and serves all that follow."""

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        """Take the pod's port; several of them may be asked at once, each from its own thread."""
        self._api = api
        self._path = pod_path(namespace, pod, "portforward")
        self._port = port
        self._open = contextlib.ExitStack()
        self._tunnel: _Tunnel | None = None

    def ask(self, path: str) -> Answer:
        """Return the answer to a GET; a tunnel that was closed between two requests is replaced."""
        reused = self._tunnel is not None
        try:
            return self._ask(path)
        except NoAnswerError:
            self.close()
            raise
        except EgopsError:
            self.close()
            if not reused:
                raise
        return self._ask(path)

    def _ask(self, path: str) -> Answer:
        if self._tunnel is None:
            query = (("ports", str(self._port)),)
            opened = self._open.enter_context(self._api.websocket(self._path, query, CHANNELS))
            self._tunnel = _Tunnel(opened, self._port)
        tunnel = self._tunnel
        with self._api.calls.call(f"port {self._port} of the pod", self._api.seconds) as call:
            call.attach(tunnel.websocket.sock)
            tunnel.websocket.settimeout(self._api.seconds)
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
            connection.sock = tunnel
            connection.request("GET", path, headers={"User-Agent": "egops"})
            response = connection.getresponse()
            chunks = iter(lambda: response.read(CHUNK), b"")
            body = read_capped(chunks, call, f"port {self._port} of the pod")
            if call.expired:
                raise TimeoutError
            headers = {name.lower(): value for name, value in response.getheaders()}
            if response.will_close:
                self.close()
        return Answer(response.status, body, headers)

    def close(self) -> None:
        """Close the tunnel."""
        self._tunnel = None
        self._open.close()
        self._open = contextlib.ExitStack()


class _Tunnel:
    """As much of a socket as http.client needs."""

    def __init__(self, opened: Any, port: int) -> None:
        self.websocket = opened
        self._port = port
        self._fresh = {DATA, ERROR}  # channels that have not told their port yet

    def sendall(self, data: bytes) -> None:
        self.websocket.send_binary(bytes([DATA]) + bytes(data))

    def makefile(self, _mode: str) -> io.BufferedIOBase:
        # http.client closes it after each answer; the tunnel outlives it, and nothing is read ahead
        # because nobody has asked yet
        return io.BufferedReader(_Frames(self), CHUNK)

    def close(self) -> None:
        """Do nothing: PortForward closes the WebSocket."""

    def receive(self) -> bytes:
        """Return the next bytes from the pod; none at the end."""
        while True:
            message = frame(self.websocket)
            if message is None:
                return b""
            channel, data = message
            if channel in self._fresh:
                self._fresh.discard(channel)
                data = data[2:]  # the port's number
            if data and channel == ERROR:
                raise UnreachableError(_refusal(data, self._port))
            if data and channel == DATA:
                return data


def frame(opened: Any) -> tuple[int, bytes] | None:
    """Return channel and data of the next frame, or None once the other side has closed."""
    import websocket  # noqa: PLC0415 - only when a pod is asked

    try:
        opcode, data = opened.recv_data()
    except websocket.WebSocketConnectionClosedException:
        return None
    if opcode == websocket.ABNF.OPCODE_CLOSE or not data:
        return None if opcode == websocket.ABNF.OPCODE_CLOSE else (-1, b"")
    return data[0], bytes(memoryview(data)[1:])


class _Frames(io.RawIOBase):
    def __init__(self, tunnel: _Tunnel) -> None:
        super().__init__()
        self._tunnel = tunnel
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest or self._tunnel.receive()
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        self._rest = data[count:]
        return count


def _refusal(data: bytes, port: int) -> str:
    said = " ".join(data.decode("utf-8", "replace").split())
    if "connection refused" in said:
        return f"nothing listens on port {port} of the pod"
    return f"the port-forward failed: {said[:300]}"


class Exec:
    """One port of one pod, asked by a program that runs inside one of its containers."""

    def __init__(
        self, api: Api, namespace: str, pod: str, port: int, containers: list[str]
    ) -> None:
        """Take the pod's port and its containers: they share the network, any of them will do."""
        self._api = api
        self._path = pod_path(namespace, pod, "exec")
        self._port = port
        self._ways = [(name, tool) for name in containers for tool in (_curl, _wget)]

    def ask(self, path: str) -> Answer:
        """Return the answer to a GET.

        Raises:
            UnreachableError: no container has curl or wget, or the program failed.
        """
        url = f"http://127.0.0.1:{self._port}{path}"
        while self._ways:
            container, tool = self._ways[0]
            command = tool(url, self._api.seconds)
            ran = self._run(container, command)
            if ran.is_missing:
                self._ways.pop(0)
                continue
            if ran.failure:
                said = ran.stderr.decode("utf-8", "replace").strip() or ran.failure
                raise UnreachableError(f"{command[0]} in container {container}: {said[:300]}")
            if tool is _wget:
                return Answer(200, ran.stdout)
            body, _, status = ran.stdout.rpartition(b"\n")
            return Answer(int(status) if status.isdigit() else 0, body)
        raise UnreachableError(
            "no container of the pod has curl or wget, nor has Envoy's image a shell: "
            "use --via port-forward"
        )

    def close(self) -> None:
        """Do nothing: each request is a program of its own."""

    def _run(self, container: str, command: list[str]) -> _Ran:
        query = (
            ("container", container), ("stdout", "1"), ("stderr", "1"),
            *(("command", word) for word in command),
        )  # fmt: skip
        got: dict[int, list[bytes]] = {STDOUT: [], STDERR: [], RESULT: []}
        with (
            self._api.websocket(self._path, query, CHANNELS) as opened,
            self._api.calls.call(
                f"{command[0]} in container {container}", self._api.seconds
            ) as call,
        ):
            call.attach(opened.sock)
            opened.settimeout(self._api.seconds)
            while (message := frame(opened)) is not None:
                channel, data = message
                got.setdefault(channel, []).append(data)
                call.received(len(data))
        return _Ran(*(b"".join(got[channel]) for channel in (STDOUT, STDERR, RESULT)))


class _Ran:
    """How a program in a container ended."""

    def __init__(self, stdout: bytes, stderr: bytes, result: bytes) -> None:
        self.stdout, self.stderr = stdout, stderr
        try:
            status = orjson.loads(result)
        except orjson.JSONDecodeError:
            status = {"status": "Failure", "message": "it ended without a result"}
        succeeded = isinstance(status, dict) and status.get("status") == "Success"
        self.failure = "" if succeeded else str(dict(status).get("message") or "it failed")

    @property
    def is_missing(self) -> bool:
        """Return whether the container has no such program."""
        return any(
            words in self.failure
            for words in ("executable file not found", "no such file or directory")
        )


def _curl(url: str, seconds: float) -> list[str]:
    return ["curl", "-sS", "-m", f"{max(1, int(seconds))}", "-w", "\n%{http_code}", url]


def _wget(url: str, seconds: float) -> list[str]:
    return ["wget", "-q", "-O", "-", "-T", f"{max(1, int(seconds))}", url]
