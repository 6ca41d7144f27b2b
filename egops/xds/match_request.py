"""A request as a client sends it, and as Envoy sees it once it is about to look for a route."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

Headers = tuple[tuple[bytes, bytes], ...]


def encode(text: str) -> bytes:
    """Return the bytes of a string of JSON; `\\udc80` to `\\udcff` are single raw bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decode(raw: bytes) -> str:
    """Return bytes as text for people and JSON."""
    return raw.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends. Bytes, since neither paths nor header values need to be text.

    `authority` is None if there is no Host header at all. An empty `scheme`, `listener`, `port` or
    `source` is not known; `sni` is None if the client's default applies: the host it asks for.
    """

    method: bytes = b"GET"
    target: bytes = b"/"
    authority: bytes | None = b""
    headers: Headers = ()
    scheme: str = ""
    listener: str = ""
    port: int = 0
    sni: str | None = None
    alpn: tuple[str, ...] = ()
    source: str = ""
    protocol: str = "http/1.1"  # or http/1.0, h2, h3


@dataclass(slots=True)
class Fields:
    """The header fields as Envoy keeps them: lower-case names to lines, in order.

    `unsure` are names whose value only the running Envoy knows (a generated request id).
    """

    lines: dict[bytes, list[bytes]] = field(default_factory=dict)
    unsure: frozenset[bytes] = frozenset()

    def one(self, name: bytes) -> bytes:
        """Return the lines of a field as one value, or an empty one."""
        return b",".join(self.lines.get(name, ()))


@dataclass
class Seen:
    """The request as matchers see it, after the connection manager has normalised it.

    `path` is the whole of `:path`, `bare` what path matchers compare. `path` is empty for a plain
    CONNECT.
    """

    method: bytes
    path: bytes
    authority: bytes
    fields: Fields
    scheme: str = "http"
    forwarded_proto: str = "http"
    secure: bool = False
    client_certificate: bool | None = False  # None: may be presented
    metadata_empty: bool = True  # nothing can have set dynamic metadata or filter state yet
    bare: bytes = b""

    @cached_property
    def query(self) -> dict[bytes, bytes]:
        """Return the query parameters: the first of each name, undecoded."""
        found: dict[bytes, bytes] = {}
        _, mark, query = self.path.partition(b"?")
        if mark:
            for pair in query.split(b"&"):
                name, _, value = pair.partition(b"=")
                if pair:
                    found.setdefault(name, value)
        return found

    @cached_property
    def cookies(self) -> dict[bytes, bytes]:
        """Return the cookies: the first of each name, without enclosing quotes."""
        found: dict[bytes, bytes] = {}
        for line in self.fields.lines.get(b"cookie", ()):
            for part in line.split(b";"):
                name, mark, value = part.partition(b"=")
                if not mark:
                    continue
                if len(value) >= 2 and value[:1] == value[-1:] == b'"':
                    value = value[1:-1]
                found.setdefault(name.lstrip(b" "), value)
        return found

    @cached_property
    def is_grpc(self) -> bool:
        """Return whether Envoy takes it for gRPC, by its content type."""
        kind = self.fields.one(b"content-type")
        return is_grpc(kind) and bool(self.path)


def is_grpc(content_type: bytes) -> bool:
    """Return whether a content type is gRPC's: Envoy answers such requests with status 200."""
    return content_type == b"application/grpc" or content_type.startswith(b"application/grpc+")
