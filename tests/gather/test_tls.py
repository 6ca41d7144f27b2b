"""A handshake with any server has an outcome, whatever the server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from egops.certs import read_der
from egops.errors import InputError
from egops.gather.tls import ClientPair, Trust, shake, shake_with
from egops.handshakes import (
    ACCEPTED,
    CLOSED,
    FAILED,
    NOT_TLS,
    QUIET,
    REFUSED,
    TIMEOUT,
    Handshake,
    read,
    written,
)
from tests.support.certificates import NOW, Authority, Issued

ROOT = Authority("root")
NAME = "www.shop.test"
SOON = timedelta(days=20)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], Any]) -> Iterator[int]:
    """Run a server of one connection after the other; what it does ends with the test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def loop() -> None:
            while not ended.is_set():
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client, contextlib.suppress(OSError):
                    client.settimeout(5)
                    serve(client)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(6)


def context(tmp_path: Path, issued: Issued, chain: bytes = b"") -> ssl.SSLContext:
    file = tmp_path / "server.pem"
    file.write_bytes(issued.pem + chain + issued.key_pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


def asking(made: ssl.SSLContext, tmp_path: Path, authority: Authority) -> ssl.SSLContext:
    """Return the context that also wants a certificate of the authority's."""
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(file)
    return made


def speaking(made: ssl.SSLContext, says: bytes = b"x") -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        with made.wrap_socket(client, server_side=True) as stream:
            if says:
                stream.sendall(says)
            stream.recv(1 << 16)

    return serve


def shook(port: int, **rest: Any) -> Handshake:
    rest.setdefault("seconds", 5)
    return shake_with("127.0.0.1", port, server_name=NAME, **rest)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "EC secp256r1"),
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
    ids=["ec", "rsa", "ed25519"],
)
def test_leaf_of_every_key_type_is_shown_and_a_byte_read(
    tmp_path: Path, key: Any, words: str
) -> None:
    leaf = ROOT.issue(NAME, key=key)

    with listening(speaking(context(tmp_path, leaf))) as port:
        found = shook(port)

    assert (found.outcome, found.version) == (ACCEPTED, "TLSv1.3")
    assert read_der(found.chain[0]).key_type == words
    assert read(written([found])) == (found,)


def test_silent_server_is_quiet_and_not_waited_for_long(tmp_path: Path) -> None:
    began = time.monotonic()
    with listening(speaking(context(tmp_path, ROOT.issue(NAME)), b"")) as port:
        found = shook(port)

    assert found.outcome == QUIET
    assert time.monotonic() - began < 4


def test_required_client_certificate_is_told_though_the_handshake_succeeds(tmp_path: Path) -> None:
    made = asking(context(tmp_path, ROOT.issue(NAME)), tmp_path, ROOT)

    with listening(speaking(made)) as port:
        found = shook(port)

    assert (found.outcome, found.version) == (REFUSED, "TLSv1.3")
    assert "certificate required" in found.reason
    assert found.is_up


@pytest.mark.parametrize(
    ("issuer", "outcome"), [(ROOT, ACCEPTED), (Authority("other"), REFUSED)], ids=["right", "other"]
)
def test_client_certificate_is_accepted_only_if_its_issuer_is(
    tmp_path: Path, issuer: Authority, outcome: str
) -> None:
    made = asking(context(tmp_path, ROOT.issue(NAME)), tmp_path, ROOT)
    mine = issuer.issue("client")

    with (
        listening(speaking(made)) as port,
        socket.create_connection(("127.0.0.1", port)) as stream,
    ):
        pair = ClientPair(mine.pem, mine.key_pem)
        found = shake(stream, port, seconds=5, client=pair)

    assert found.outcome == outcome
    assert found.has_shown_certificate
    assert mine.key_pem.decode() not in repr(pair)


def test_client_pair_that_is_none_is_bad_input() -> None:
    ours, theirs = ROOT.issue("a"), ROOT.issue("b")

    with socket.socket() as stream, pytest.raises(InputError, match="not a pair"):
        shake(stream, 1, seconds=1, client=ClientPair(ours.pem, theirs.key_pem))


def test_server_that_knows_no_such_name_fails(tmp_path: Path) -> None:
    made = context(tmp_path, ROOT.issue(NAME))

    def refuse(_: Any, name: str | None, __: Any) -> int | None:
        return None if name == "other.test" else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    made.sni_callback = refuse
    with listening(speaking(made)) as port:
        found = shook(port)

    assert found.outcome == FAILED
    assert "unrecognized name" in found.reason


@pytest.mark.parametrize("left", [timedelta(days=-3), SOON], ids=["ended", "not yet"])
def test_dates_are_facts_for_rules_and_stop_nothing(tmp_path: Path, left: timedelta) -> None:
    begins = NOW - timedelta(days=9) if left < timedelta(0) else NOW + timedelta(days=9)
    leaf = ROOT.issue(NAME, left=left, begins=begins)
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT.pem)

    with listening(speaking(context(tmp_path, leaf))) as port:
        found = shook(port, trust=Trust(str(roots)))

    assert (found.outcome, found.trust_error) == (ACCEPTED, "")
    assert read_der(found.chain[0]).not_before == begins


def test_trust_is_judged_against_the_roots_given(tmp_path: Path) -> None:
    middle = Authority("middle", ROOT)
    leaf = middle.issue(NAME)
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT.pem)
    trust = Trust(str(roots))

    with listening(speaking(context(tmp_path, leaf, middle.pem))) as port:
        whole, unknown = shook(port, trust=trust), shook(port, trust=Trust())
    with listening(speaking(context(tmp_path, leaf))) as port:
        partial = shook(port, trust=trust)

    assert (whole.trust_error, len(whole.chain)) == ("", 2)
    assert "local issuer" in unknown.trust_error
    assert "local issuer" in partial.trust_error


def test_chain_longer_than_needed_is_read_to_its_end(tmp_path: Path) -> None:
    chain = [ROOT]
    for number in range(30):
        chain.append(Authority(f"middle {number}", chain[-1]))
    leaf = chain[-1].issue(NAME)
    more = b"".join(each.pem for each in reversed(chain))
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT.pem)

    with listening(speaking(context(tmp_path, leaf, more))) as port:
        found = shook(port, trust=Trust(str(roots)))

    assert found.outcome == ACCEPTED
    assert len(found.chain) == 32


def test_trust_file_without_a_certificate_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")

    with (
        listening(speaking(context(tmp_path, ROOT.issue(NAME)))) as port,
        pytest.raises(InputError, match="no certificate of a CA"),
    ):
        shook(port, trust=Trust(str(tmp_path / "empty.pem")))


def test_port_that_speaks_http_is_told_so() -> None:
    def http(client: socket.socket) -> None:
        client.recv(1 << 16)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with listening(http) as port:
        found = shook(port)

    assert (found.outcome, found.reason) == (NOT_TLS, "it speaks plain HTTP")


def test_port_that_speaks_something_else_is_told_so() -> None:
    with listening(lambda client: client.sendall(b"220 mail.test ESMTP\r\n")) as port:
        found = shook(port)

    assert (found.outcome, found.reason) == (NOT_TLS, "it speaks no TLS")


def test_closed_port_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    found = shook(port)

    assert (found.outcome, found.reason) == (CLOSED, "connection refused")


def test_server_that_hangs_up_is_told_so() -> None:
    with listening(lambda client: client.recv(1 << 16)) as port:
        found = shook(port)

    assert found.outcome == FAILED
    assert "closed in the handshake" in found.reason


def test_hanging_server_ends_at_the_limit() -> None:
    release = threading.Event()
    began = time.monotonic()

    with listening(lambda _: release.wait(10)) as port:
        found = shook(port, seconds=0.5)
        release.set()

    assert found.outcome == TIMEOUT
    assert time.monotonic() - began < 3


def test_dripping_server_ends_at_the_limit() -> None:
    ended = threading.Event()

    def drip(client: socket.socket) -> None:
        client.recv(1 << 16)
        for byte in b"\x16\x03\x03\x3f\xff" + bytes(200):
            client.sendall(bytes([byte]))
            if ended.wait(0.05):
                return

    began = time.monotonic()
    with listening(drip) as port:
        found = shook(port, seconds=0.5)
        ended.set()

    assert found.outcome in (TIMEOUT, FAILED)
    assert time.monotonic() - began < 3


def test_name_that_is_none_is_bad_input() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(InputError, match="no host"),
    ):
        shake_with("127.0.0.1", server.getsockname()[1], seconds=1, server_name="ä" * 80)
