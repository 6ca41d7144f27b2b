"""TLS servers by address: a handshake with each, at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from egops.errors import InputError
from egops.gather.tls import Trust, shake_with
from egops.gather.workers import Workers
from egops.handshakes import TIMEOUT, Handshake, written
from egops.snapshot import Probe, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HTTPS = 443


class Address(NamedTuple):
    """Where a TLS server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `www.example.com:443` or `[::1]:443`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address in `host:port`, `host`, `[::1]:443` or `https://host/…`.

    Raises:
        InputError: it is none of these.
    """
    told = _shown(text)
    scheme, mark, _ = text.partition("://")
    try:
        parts = urlsplit(text if mark else f"//{text}")
        port = parts.port
    except ValueError:
        raise InputError(f"{told!r} is no address", hint="such as www.example.com:443") from None
    named = bool(parts.hostname) and parts.username is None and port != 0
    named = named and not any(char.isspace() for char in text)
    if not named or (mark and scheme != "https") or (not mark and parts.path.strip("/")):
        raise InputError(f"{told!r} is no TLS address", hint="such as www.example.com:443")
    return Address(str(parts.hostname), port or HTTPS)


def read_servers(
    addresses: Mapping[Address, Iterable[str]],
    *,
    seconds: float,
    concurrency: int,
    server_name: str = "",
    trust_file: str = "",
    timeout: float = 0.0,
) -> tuple[tuple[Server, ...], bool]:
    """Return what each server said, and whether the time sufficed.

    Args:
        addresses: who is asked, each with the objects that name it.
        seconds: the limit of each handshake.
        concurrency: handshakes at once.
        server_name: the name to ask for, if it is not the host's.
        trust_file: the CAs to verify against; the system's if empty.
        timeout: the limit of all of them; 0 for none.

    Raises:
        InputError: the file holds no CA, or the name is none.
    """
    trust = Trust(trust_file)
    found: dict[Address, Handshake] = {}

    def ask(address: Address) -> None:
        found[address] = shake_with(
            address.host, address.port, seconds=seconds, server_name=server_name, trust=trust
        )

    with Workers(concurrency) as workers:
        for address in addresses:
            workers.submit(partial(ask, address))
        in_time = workers.wait(timeout or None)
    late = f"timed out after {timeout:g} s"
    servers = []
    for address, users in addresses.items():
        handshake = found.get(address) or Handshake(
            address.port, TIMEOUT, late, server_name or address.host
        )
        document = {Probe.SERVER_TLS: written([handshake])}
        servers.append(Server(str(address), None, document, {}, tuple(users)))
    return tuple(servers), in_time


def _shown(text: str) -> str:
    """Return what a user wrote, without user and password."""
    return text.rpartition("@")[2]
