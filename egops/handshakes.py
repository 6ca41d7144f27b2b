"""What a TLS server said in a handshake: plain values, as gather keeps them. No keys."""

from __future__ import annotations

from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode

from egops.errors import InputError

ACCEPTED = "accepted"  # the handshake succeeded, and the server sent a byte after it
QUIET = "quiet"  # it succeeded, and nothing came in time: nothing contradicts it
REFUSED = "refused"  # the server ended the connection over the client certificate, or its lack
FAILED = "failed"  # it speaks TLS, and the handshake failed
NOT_TLS = "not-tls"  # something answered, and it was not TLS
CLOSED = "closed"  # nothing listens there, or nobody can be reached
NOT_ASKED = "not-asked"  # there was too much to ask
TIMEOUT = "timeout"  # somebody took the connection and kept silent


class Handshake(Struct, frozen=True, omit_defaults=True):
    """One handshake: with whom, how it went, and what was shown.

    In TLS 1.3 a client has finished before the server looked at its certificate: only a byte read
    afterwards tells that it was accepted.
    """

    port: int
    outcome: str
    reason: str = ""
    server_name: str = ""
    version: str = ""  # `TLSv1.3`
    protocol: str = ""  # by ALPN: `h2`
    chain: list[bytes] = []  # DER, the leaf first
    authorities: list[str] = []  # names of the CAs from which it accepts client certificates
    has_shown_certificate: bool = False  # we showed one of our own
    trust_error: str = ""  # why the chain does not verify; empty if it does or nobody looked
    trust: str = ""  # against what it was verified: `system roots`, a file

    @property
    def is_up(self) -> bool:
        """Return whether a certificate was shown."""
        return bool(self.chain)


def read(raw: bytes) -> tuple[Handshake, ...]:
    """Return the handshakes in a document.

    Raises:
        InputError: it holds something else.
    """
    try:
        return tuple(decode(raw, type=list[Handshake]))
    except MsgspecError as exc:
        raise InputError(f"no handshakes: {exc}") from None


def written(handshakes: list[Handshake]) -> bytes:
    """Return the document of these handshakes."""
    return encode(handshakes)
