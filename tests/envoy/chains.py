"""Filter chains made by lot, and connections that fit one of them or just not."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from egops.envoy import running
from egops.xds.config_dump import ConfigDump
from egops.xds.match_request import Request
from egops.xds.walk import Walker
from tests.envoy import compare, tables

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["a.test", "b.a.test", "*.a.test", "*.test", "c.b.a.test", "*.b.a.test", "x.test"]
SNIS = [
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "d.c.b.a.test",
    "x.test",
    "y.test",
    "A.Test",
    "test",
    "none.example",
    "",
    "q.x.test",
]
RANGES = ["127.0.0.0/8", "127.0.0.1/32", "127.0.0.2/31", "10.0.0.0/8"]
SOURCES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"]
API = tables.API


def certificate() -> tuple[str, str]:
    """Return a throw-away certificate and its key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    return made.public_bytes(serialization.Encoding.PEM).decode(), pem


def _cidr(text: str) -> dict[str, Any]:
    address, _, length = text.partition("/")
    return {"address_prefix": address, "prefix_len": int(length)}


def chain_match(rnd: Random, port: int) -> dict[str, Any]:
    """Return a FilterChainMatch."""
    made: dict[str, Any] = {}
    if rnd.random() < 0.6:
        made["server_names"] = rnd.sample(NAMES, rnd.choice([1, 1, 2]))
    if rnd.random() < 0.25:
        made["transport_protocol"] = rnd.choice(["tls", "raw_buffer"])
    if rnd.random() < 0.25:
        made["application_protocols"] = rnd.choice([["h2"], ["http/1.1"], ["h2", "http/1.1"]])
    if rnd.random() < 0.2:
        made["source_prefix_ranges"] = [
            _cidr(entry) for entry in rnd.sample(RANGES, rnd.choice([1, 2]))
        ]
    if rnd.random() < 0.15:
        made["direct_source_prefix_ranges"] = [_cidr(rnd.choice(RANGES))]
    if rnd.random() < 0.15:
        made["source_type"] = rnd.choice(["SAME_IP_OR_LOOPBACK", "EXTERNAL"])
    if rnd.random() < 0.15:
        made["destination_port"] = rnd.choice([port, 1])
    if rnd.random() < 0.1:
        made["prefix_ranges"] = [_cidr(rnd.choice(RANGES))]
    return made


def _chain(name: str, match: dict[str, Any] | None, tls: dict[str, Any] | None) -> dict[str, Any]:
    route = {"name": name, "match": {"prefix": "/"}, "direct_response": {"status": 200}}
    host = {"name": name, "domains": ["*"], "routes": [route]}
    host["response_headers_to_add"] = [tables.added("x-chain", name)]
    table = {"name": name, "virtual_hosts": [host]}
    made: dict[str, Any] = {"name": name, "filters": [compare.manager(table, {})]}
    if match is not None:
        made["filter_chain_match"] = match
    if tls is not None:
        made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return made


def listener(rnd: Random, name: str, port: int, tls: dict[str, Any]) -> dict[str, Any]:
    """Return a listener with several chains; some terminate TLS, some don't."""
    chains: list[dict[str, Any]] = []
    seen: set[str] = set()
    for index in range(rnd.randint(1, 6)):
        match = chain_match(rnd, port)
        keys = {_key(match, server) for server in match.get("server_names", [""])}
        if keys & seen:  # Envoy refuses two chains with the same match
            continue
        seen |= keys
        secure = match.get("transport_protocol") != "raw_buffer" and rnd.random() < 0.8
        chains.append(_chain(f"c{index}", match, tls if secure else None))
    made: dict[str, Any] = {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": chains,
    }
    if rnd.random() < 0.4:
        made["default_filter_chain"] = _chain("default", None, tls if rnd.random() < 0.5 else None)
    if rnd.random() < 0.7:
        kind = API + "extensions.filters.listener.tls_inspector.v3.TlsInspector"
        inspector = {
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": kind},
        }
        made["listener_filters"] = [inspector]
    return made


def _key(match: dict[str, Any], server: str) -> str:
    rest = {key: value for key, value in match.items() if key != "server_names"}
    rest.pop("application_protocols", None)
    rest.pop("source_prefix_ranges", None)
    rest.pop("direct_source_prefix_ranges", None)
    rest.pop("prefix_ranges", None)
    return f"{server}|{sorted(rest.items())}"


@dataclass
class Dial:
    """One connection with a request on it."""

    tls: bool
    sni: str
    alpn: tuple[str, ...]
    source: str

    def chain(self, port: int) -> str:
        """Return the chain that answered, or nothing if the connection was closed."""
        with contextlib.suppress(OSError, IndexError):
            sock = socket.create_connection(("127.0.0.1", port), 2, (self.source, 0))
            with contextlib.closing(self._secure(sock)) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n")
                data = b""
                while b"\r\n\r\n" not in data:
                    more = stream.recv(65536)
                    if not more:
                        return ""
                    data += more
                return data.decode().split("x-chain: ")[1].split("\r\n")[0]
        return ""

    def _secure(self, sock: socket.socket) -> socket.socket:
        if not self.tls:
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        return context.wrap_socket(sock, server_hostname=self.sni or None)


def dial(rnd: Random) -> Dial:
    """Return a connection."""
    tls = rnd.random() < 0.75
    alpn = rnd.choice([(), ("http/1.1",), ("h2", "http/1.1"), ("http/1.1", "h2"), ("other",)])
    return Dial(tls, rnd.choice(SNIS) if tls else "", alpn if tls else (), rnd.choice(SOURCES))


def run(seed: int, count: int, each: int, *, envoy: Path | None = None) -> tuple[int, list[str]]:
    """Compare the chains that Envoy and the walker pick; return pairs and differences."""
    rnd = Random(seed)
    chain, key = certificate()
    tls = {
        "@type": API + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"inline_string": chain},
                    "private_key": {"inline_string": key},
                }
            ]
        },
    }
    names = [f"l{index}" for index in range(count)]
    ports = dict(zip(names, compare.free_ports(count), strict=True))
    listeners = [listener(rnd, name, ports[name], tls) for name in names]
    differences = []
    with running(compare.bootstrap(listeners), envoy=envoy) as server:
        walker = Walker(ConfigDump.parse(server.config_dump()))
        by_name = {entry.name: entry for entry in walker.listeners}
        for name in names:
            for _ in range(each):
                asked = dial(rnd)
                got = asked.chain(ports[name])
                request = Request(
                    authority=b"a.test",
                    scheme="https" if asked.tls else "http",
                    sni=asked.sni,
                    alpn=asked.alpn or ("",),
                    source=asked.source,
                )
                verdict = walker.walk(request, by_name[name])
                wants = verdict.chain.name if verdict.chain and verdict.outcome != "closed" else ""
                if wants != got or verdict.outcome == "unknown":
                    differences.append(
                        f"seed {seed} {name}: {asked} took {got!r}, not {wants!r}: {verdict.reason}"
                    )
    return count * each, differences
