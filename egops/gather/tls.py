"""TLS handshakes with servers that need not be trusted: what they show, and whether they let us in.

OpenSSL works on bytes in memory here, so a handshake runs through a port-forward as through a
socket, and a client key is never written to a file.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.handshakes import (
    ACCEPTED,
    CLOSED,
    FAILED,
    NOT_TLS,
    QUIET,
    REFUSED,
    TIMEOUT,
    Handshake,
)

if TYPE_CHECKING:
    from egops.gather.tunnel import Stream

ALPN = [b"h2", b"http/1.1"]
# a client's first bytes in HTTP/2: the server answers with its settings at once
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
GRACE = 1.0  # seconds in which a server that was asked nothing can still refuse us
TLS_RECORDS = range(20, 25)
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: dates are judged by rules, of every member
PARTIAL_CHAIN = 0x80000
CLIENT_WORDS = (
    "certificate required", "unknown ca", "bad certificate", "certificate unknown",
    "certificate expired", "certificate revoked", "unsupported certificate", "access denied",
)  # fmt: skip


@dataclass(frozen=True)
class ClientPair:
    """A certificate and its key, both PEM, to show to a server. It lives in memory only."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Trust:
    """Against what a chain is verified; dates are left to the rules."""

    file: str = ""  # PEM; the system's roots if empty

    def __str__(self) -> str:
        """Return the file's name, or `the system's roots`."""
        return self.file or "the system's roots"


def shake(
    stream: Stream,
    port: int,
    *,
    seconds: float,
    server_name: str = "",
    client: ClientPair | None = None,
    trust: Trust | None = None,
) -> Handshake:
    """Shake hands, read a byte, and return what was seen; whatever happens is an outcome.

    Raises:
        InputError: the client pair or the trust file is of no use.
        EgopsError: the stream's own reasons (the gathering was cut).
    """
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_alpn_protos(ALPN)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")  # old servers are judged, not avoided
    if client is not None:
        _show(context, client)
    connection = SSL.Connection(context, None)
    if server_name and not _is_address(server_name):
        connection.set_tlsext_host_name(_ascii(server_name))
    connection.set_connect_state()
    talk = _Talk(connection, stream, time.monotonic() + seconds)
    outcome, reason = _outcome(talk, server_name, client)
    return Handshake(
        port=port,
        outcome=outcome,
        reason=reason,
        server_name=server_name,
        version=connection.get_protocol_version_name() if talk.is_done else "",
        protocol=connection.get_alpn_proto_negotiated().decode() if talk.is_done else "",
        chain=_chain(connection),
        authorities=_authorities(connection),
        has_shown_certificate=client is not None,
        trust_error=_verified(connection, trust) if trust else "",
        trust=str(trust) if trust else "",
    )


def _outcome(talk: _Talk, server_name: str, client: ClientPair | None) -> tuple[str, str]:
    from OpenSSL import SSL

    try:
        talk.handshake()
        return talk.said_after(server_name)
    except TimeoutError:
        if talk.is_done:
            return QUIET, ""
        return TIMEOUT, "it takes the connection and does not answer"
    except SSL.Error as exc:
        words = _words(exc)
        if talk.is_other:
            return NOT_TLS, talk.is_other
        refused = (talk.is_done or client is not None) and any(w in words for w in CLIENT_WORDS)
        return (REFUSED if refused else FAILED), words
    except OSError as exc:
        if talk.is_done:  # a server that is done with us without a word
            return QUIET, ""
        return FAILED, (exc.strerror or str(exc) or "the connection broke").lower()


class _Talk:
    """A connection of OpenSSL's and the stream beneath it."""

    def __init__(self, connection: Any, stream: Stream, deadline: float) -> None:
        self._connection, self._stream, self._deadline = connection, stream, deadline
        self._heard = b""
        self.is_done = False  # the handshake, from our side

    @property
    def is_other(self) -> str:
        """Return what answered, if its first bytes were no TLS record."""
        if not self._heard or self._heard[0] in TLS_RECORDS:
            return ""
        return "it speaks plain HTTP" if self._heard.startswith(b"HTTP/") else "it speaks no TLS"

    def handshake(self) -> None:
        self._drive(self._connection.do_handshake)
        self.is_done = True

    def said_after(self, server_name: str) -> tuple[str, str]:
        """Return whether the server goes on with us. It is asked as HTTP, if it speaks that."""
        protocol = self._connection.get_alpn_proto_negotiated()
        if protocol == b"h2":
            self._connection.send(PREFACE)
        elif protocol == b"http/1.1":
            host = server_name or "localhost"
            self._connection.send(
                f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
        else:
            self._deadline = min(self._deadline, time.monotonic() + GRACE)
        from OpenSSL import SSL

        try:
            self._drive(lambda: self._connection.recv(1))
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return QUIET, ""
        return ACCEPTED, ""

    def _drive(self, step: Any) -> None:
        """Repeat a step of OpenSSL's until it needs no more bytes."""
        from OpenSSL import SSL

        while True:
            try:
                step()
            except SSL.WantReadError:
                self._flush()
                self._feed()
            else:
                self._flush()
                return

    def _flush(self) -> None:
        from OpenSSL import SSL

        with contextlib.suppress(SSL.WantReadError):
            while data := self._connection.bio_read(1 << 16):
                self._stream.sendall(data)

    def _feed(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._stream.settimeout(left)
        data = self._stream.recv(1 << 16)
        if not data and not self.is_done:
            raise ConnectionResetError(0, "the connection was closed in the handshake")
        if not data:
            self._connection.bio_shutdown()
            return
        self._heard = self._heard or data[:16]
        self._connection.bio_write(data)


# ------------------------------------------------------------------ what OpenSSL knows


def _show(context: Any, client: ClientPair) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from OpenSSL import SSL

    try:
        leaf, *rest = x509.load_pem_x509_certificates(client.certificate)
        context.use_certificate(leaf)
        for each in rest:
            context.add_extra_chain_cert(each)
        context.use_privatekey(load_pem_private_key(client.key, password=None))
        context.check_privatekey()
    except (ValueError, TypeError, SSL.Error):
        raise InputError("certificate and key of the client are not a pair") from None


def _chain(connection: Any) -> list[bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding

    found = connection.get_peer_cert_chain(as_cryptography=True) or []
    return [each.public_bytes(Encoding.DER) for each in found]


def _authorities(connection: Any) -> list[str]:
    """Return the names in the server's request for a client certificate."""
    found = []
    for name in connection.get_client_ca_list():
        parts = [
            f"{key.decode('ascii', 'replace')}={value.decode('utf-8', 'replace')}"
            for key, value in name.get_components()
        ]
        found.append(",".join(reversed(parts)))
    return found


def _verified(connection: Any, trust: Trust) -> str:
    """Return why the chain leads to nobody trusted, or an empty string."""
    from OpenSSL import SSL, crypto

    chain = connection.get_peer_cert_chain() or []
    if not chain:
        return ""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    try:
        if trust.file:
            context.load_verify_locations(trust.file)
        else:
            context.set_default_verify_paths()
    except SSL.Error:
        raise InputError(f"{trust.file} holds no certificate of a CA") from None
    store = context.get_cert_store()
    assert store is not None
    store.set_flags(NO_CHECK_TIME | PARTIAL_CHAIN)
    try:
        crypto.X509StoreContext(store, chain[0], chain[1:]).verify_certificate()
    except crypto.X509StoreContextError as exc:
        return str(exc)
    return ""


def _words(exc: Exception) -> str:
    """Return OpenSSL's reason in lower case: `tlsv13 alert certificate required`."""
    for entry in exc.args[0] if exc.args and isinstance(exc.args[0], list) else ():
        if reason := entry[-1]:
            return str(reason).lower()
    return "the handshake failed"


def _ascii(name: str) -> bytes:
    """Return a name as the DNS spells it.

    Raises:
        InputError: it is none.
    """
    try:
        return name.encode("ascii") if name.isascii() else name.encode("idna")
    except UnicodeError:
        raise InputError(f"{name!r} is no host name") from None


def _is_address(name: str) -> bool:
    with contextlib.suppress(OSError):
        socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
        return True
    return False


# ------------------------------------------------------------------ any server


def shake_with(
    host: str, port: int, *, seconds: float, server_name: str = "", trust: Trust | None = None
) -> Handshake:
    """Shake hands with any server, and return what was seen; whatever happens is an outcome."""
    name = server_name or host
    try:
        with socket.create_connection((host, port), seconds) as stream:
            return shake(stream, port, seconds=seconds, server_name=name, trust=trust)
    except socket.gaierror:
        return Handshake(port, CLOSED, "no such host", name)
    except TimeoutError:
        return Handshake(port, TIMEOUT, f"no connection within {seconds:g} s", name)
    except OSError as exc:
        return Handshake(port, CLOSED, (exc.strerror or str(exc)).lower(), name)
