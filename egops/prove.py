"""Ask a real Envoy: run a replica of the dump's listener, send the request, compare."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from egops.envoy import Envoy, running
from egops.errors import EgopsError
from egops.xds.config_dump import plain
from egops.xds.match_request import decode, encode
from egops.xds.match_table import without_port
from egops.xds.walk import is_address
from egops.xds.walk_action import upstream_host, upstream_path
from egops.xds.walk_replica import AUTHORITY, DETAILS, HOST, PATH, ROUTE, replica

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.match_request import Request
    from egops.xds.walk import Verdict, Walker

ANSWER_SECONDS = 5.0


class Readable(Protocol):
    """A socket, or what stands for one."""

    def recv(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""


class Stream(Readable, Protocol):
    """As much of a socket as a request needs."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of the bytes."""


@dataclass(frozen=True)
class Answer:
    """What an HTTP/1.1 server said; status None if it closed the connection."""

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)


def prove(walker: Walker, verdict: Verdict) -> dict[str, Any]:
    """Return whether a real Envoy agrees with a verdict, and what it did.

    Raises:
        EgopsError: there is no Envoy to ask, it refuses the tables, or HTTP/1 cannot tell.
    """
    assert verdict.listener is not None
    with proving(walker, verdict.listener.name) as (server, port):
        answer = ask(verdict.request, port)
        version = orjson.loads(server.ask("/server_info")).get("version", "").split("/")
    problem = difference(verdict, answer)
    local = version[1] if len(version) > 1 else "?"
    text = problem or f"Envoy {local} agrees: {_words(answer)}"
    if local != walker.how.name and walker.how.version_known:
        text += f" (the dump is from Envoy {walker.how.name})"
    return {
        "agrees": not problem,
        "text": text,
        "envoy": local,
        "status": answer.status,
        "details": answer.headers.get(DETAILS),
        "location": answer.headers.get("location"),
    }


def _words(answer: Answer) -> str:
    if answer.status is None:
        return "it closes the connection"
    return f"{answer.status} {answer.headers.get(DETAILS, '')}".strip()


@contextlib.contextmanager
def proving(walker: Walker, listener: str) -> Iterator[tuple[Envoy, int]]:
    """Run a replica of one listener of a dump; yield it and its port.

    Raises:
        EgopsError: there is no Envoy, or it refuses the tables.
    """
    with tempfile.TemporaryDirectory(prefix="egops-prove-") as folder:
        pipe = str(Path(folder) / "echo")
        port = _free_port()
        config = replica(walker, listener, port, pipe, certificate())
        with running(config) as server:
            yield server, port


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def certificate() -> tuple[str, str]:
    """Return a certificate that lives for a day and its key, as PEM."""
    import datetime  # noqa: PLC0415 - only proofs need it

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "egops replica")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, none)
    return made.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


# ------------------------------------------------------------------ the wire


def wire(request: Request) -> bytes:
    """Return the request as HTTP/1.1 bytes, nothing normalised."""
    version = request.protocol.upper().encode()
    lines = [request.method + b" " + request.target + b" " + version]
    if request.authority is not None:
        lines.append(b"host: " + request.authority)
    lines += [name + b": " + value for name, value in request.headers]
    lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def ask(request: Request, port: int, address: str = "127.0.0.1") -> Answer:
    """Return the answer to a request.

    Raises:
        EgopsError: the request is HTTP/3, or HTTP/2 and the library for it is not there.
    """
    try:
        sock = socket.create_connection((address, port), ANSWER_SECONDS)
        with contextlib.closing(_secure(sock, request)) as stream:
            return exchange(stream, request)
    except OSError:
        return Answer(None)


def exchange(stream: Stream, request: Request) -> Answer:
    """Send a request and return the answer; status None if stream or connection are reset.

    Raises:
        EgopsError: the request is HTTP/3, or HTTP/2 and the library for it is not there.
        OSError: the connection broke.
    """
    if request.protocol == "h2":
        return _binary(stream, request)
    if not request.protocol.startswith("http/1"):
        raise EgopsError(
            f"a request over {request.protocol} can't be sent",
            hint="leave out --proto: routing is the same",
        )
    stream.sendall(wire(request))
    return read_answer(stream)


def _binary(stream: Stream, request: Request) -> Answer:
    try:
        import h2.config  # noqa: PLC0415 - not everybody has it
        import h2.connection  # noqa: PLC0415 - as above
        import h2.events  # noqa: PLC0415 - as above
        import h2.exceptions  # noqa: PLC0415 - as above
    except ImportError:
        raise EgopsError(
            "requests over HTTP/2 need the package h2",
            hint="pip install h2, or leave out --proto: routing is the same",
        ) from None
    loose = h2.config.H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    connection = h2.connection.H2Connection(loose)
    connection.initiate_connection()
    connection.send_headers(1, _binary_fields(request), end_stream=True)
    stream.sendall(connection.data_to_send())
    with contextlib.suppress(h2.exceptions.ProtocolError):
        while data := stream.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    said = {
                        bytes(name).decode("latin-1"): bytes(value).decode("utf-8", "replace")
                        for name, value in event.headers
                    }
                    return Answer(int(said.pop(":status")), said)
                if isinstance(event, h2.events.StreamReset):
                    return Answer(None)
            stream.sendall(connection.data_to_send())
    return Answer(None)


def _binary_fields(request: Request) -> list[tuple[bytes, bytes]]:
    found = [(b":method", request.method)]
    if request.method != b"CONNECT":
        found += [(b":scheme", request.scheme.encode() or b"http"), (b":path", request.target)]
    if request.authority is not None:
        found.append((b":authority", request.authority))
    return found + [(name.lower(), value) for name, value in request.headers]


def _secure(sock: socket.socket, request: Request) -> socket.socket:
    if request.scheme != "https":
        return sock
    return client_context(request).wrap_socket(sock, server_hostname=server_name(request) or None)


def client_context(request: Request) -> ssl.SSLContext:
    """Return TLS settings for a request; certificates are not judged."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if request.alpn or request.protocol == "h2":
        context.set_alpn_protocols(list(request.alpn or ("h2",)))
    return context


def server_name(request: Request) -> str:
    """Return the server name that the client sends, empty for none: addresses are none."""
    if request.sni is not None:
        return request.sni
    host = decode(without_port(request.authority or b"")).rstrip(".")
    return "" if is_address(host) else host


def read_answer(stream: Readable) -> Answer:
    """Return status and headers of the first final answer on a stream."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = stream.recv(65536)
            if not more:
                return Answer(None)
            data += more
        top, _, data = data.partition(b"\r\n\r\n")
        lines = top.decode("utf-8", "surrogateescape").split("\r\n")
        status = int(lines[0].split(" ")[1])
        if status >= 200 or status == 101:
            pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
            return Answer(status, {name.lower(): value for name, value in pairs})


# ------------------------------------------------------------------ the comparison


def difference(verdict: Verdict, answer: Answer) -> str:
    """Return in what the replica's answer contradicts a verdict, or nothing."""
    said = answer.headers
    if verdict.outcome == "unknown":
        return ""
    if verdict.outcome == "closed" or (verdict.status is None and verdict.outcome == "rejected"):
        return "" if answer.status is None else f"Envoy answers {answer.status}"
    if answer.status is None:
        return f"Envoy closes the connection, not {verdict.outcome}"
    took = said.get(ROUTE)
    if verdict.outcome == "rejected":  # Envoy may look a route up even then, for the answer's sake
        return _own_answer(verdict, answer)
    ours = str(verdict.route.index) if verdict.route is not None else None
    if (PATH in said or took is not None) and took != ours:
        return f"Envoy takes route {took} of {said.get(HOST)}, not {verdict.outcome} {ours}"
    if PATH in said:
        return _forwarded(verdict, said)
    return _own_answer(verdict, answer)


def _own_answer(verdict: Verdict, answer: Answer) -> str:
    said = answer.headers
    if verdict.status is not None and verdict.status != answer.status:
        return f"Envoy answers {answer.status} ({said.get(DETAILS)}), not {verdict.status}"
    if verdict.location is not None and verdict.location != said.get("location"):
        return f"Envoy redirects to {said.get('location')}, not {verdict.location}"
    if verdict.outcome == "no_route" and said.get(DETAILS) != "route_not_found":
        return f"Envoy says {said.get(DETAILS)}, not that there is no route"
    return ""


def _forwarded(verdict: Verdict, said: dict[str, str]) -> str:
    assert verdict.route is not None
    assert verdict.seen is not None
    if verdict.outcome != "route":
        return f"Envoy forwards it, not {verdict.outcome}"
    action = plain(verdict.route.route.route) if verdict.route.route.route else {}
    path, host = (
        upstream_path(verdict.route, action, verdict.seen),
        upstream_host(action, verdict.seen),
    )
    if encode(said[PATH]) != path:
        return f"the backend gets path {said[PATH]}, not {decode(path)}"
    if host is not None and encode(said.get(AUTHORITY, "")) != host:
        return f"the backend gets host {said.get(AUTHORITY)}, not {decode(host)}"
    return ""
