"""A bad neighbour between egops and the API server: it delays, refuses or breaks chosen requests.

It listens on loopback without TLS, speaks to the API server as the cluster's administrator, and
passes upgraded connections (port-forward, exec) through untouched.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.cluster import pki
from tests.e2e.cluster.settings import NODE_IP, PKI, STATE

REASONS = {403: "Forbidden", 409: "Conflict", 429: "TooManyRequests"}
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets instead of the API server's answer, after a delay in seconds."""

    delay: float = 0.0
    status: int = 0  # 0: ask the API server
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)


# path with query -> how to answer, or None to pass it on
Script = Callable[[str], Answer | None]


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes something."""

    method: str
    path: str
    body: bytes = field(repr=False)

    @property
    def target(self) -> str:
        """Return `secrets/envoy`: plural and name, or the plural alone for a new object."""
        parts = self.path.partition("?")[0].split("/")
        where = parts.index("namespaces") + 2 if "namespaces" in parts else 0
        return "/".join(parts[where:] if where else parts[4:])


# a write -> how to answer, or None to pass it on
WriteScript = Callable[[Write], Answer | None]
# a write that the API server has carried out, and the status; who asked does not know yet
Witness = Callable[[Write, int], None]


def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
    context.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
    return context


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script
    writes: WriteScript
    witness: Witness
    seen: list[str]

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""

    def _serve(self) -> None:
        body = self._request_body()
        changes = self.command not in {"GET", "HEAD"} and "/portforward" not in self.path
        write = Write(self.command, self.path, body) if changes else None
        answer = self.script(self.path) or (write and self.writes(write)) or Answer()
        time.sleep(answer.delay)
        with suppress(BrokenPipeError, ConnectionResetError):
            if answer.status:
                self._refuse(answer)
            elif "upgrade" in self.headers.get("Connection", "").lower():
                self._splice()
            else:
                self._forward(body, write)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _refuse(self, answer: Answer) -> None:
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": answer.status,
            "message": answer.message,
            "reason": REASONS.get(answer.status, "InternalError"),
        }
        self._send(answer.status, answer.headers, json.dumps(status).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.seen.append(f"{status} {self.command} {self.path}")

    def _request_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _forward(self, asked: bytes, write: Write | None) -> None:
        upstream = HTTPSConnection(NODE_IP, 6443, context=_trusted(), timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        try:
            upstream.request(self.command, self.path, asked or None, headers)
            answer = upstream.getresponse()
            body = answer.read()
        except OSError as exc:
            self._refuse(Answer(status=502, message=f"no answer: {exc}"))
        else:
            if write:
                self.witness(write, answer.status)
            self._send(answer.status, dict(answer.getheaders()), body)
        finally:
            upstream.close()

    def _splice(self) -> None:
        raw = socket.create_connection((NODE_IP, 6443), timeout=60)
        with _trusted().wrap_socket(raw, server_hostname=NODE_IP) as upstream:
            lines = [f"{self.command} {self.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            upstream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            upstream.settimeout(None)
            self.connection.settimeout(None)
            back = threading.Thread(target=_pump, args=(upstream, self.connection), daemon=True)
            back.start()
            _pump(self.connection, upstream)
            back.join(5)
        self.close_connection = True


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: the client went away, which stories provoke on purpose."""


def _pass(_anything: object) -> None:
    return None


def _look_away(_write: Write, _status: int) -> None:
    return None


@contextmanager
def between(
    script: Script = _pass, writes: WriteScript = _pass, witness: Witness = _look_away
) -> Iterator[tuple[Path, list[str]]]:
    """Give a kubeconfig that goes through the proxy, and the requests it will have answered.

    Each is `STATUS METHOD PATH`: a request that failed may rightly come again.
    """
    seen: list[str] = []
    members = {
        "script": staticmethod(script),
        "writes": staticmethod(writes),
        "witness": staticmethod(witness),
        "seen": seen,
    }
    handler = type("Handler", (_Handler,), members)
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        path = STATE / "proxied.kubeconfig"
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}"
            yield pki.kubeconfig("admin", path, address), seen
        finally:
            server.shutdown()
            thread.join(5)
            path.unlink(missing_ok=True)
