"""Requests made by lot, aimed at the edges of a route table, and the wire to send them on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.envoy import tables

if TYPE_CHECKING:
    from random import Random

METHODS = ["GET"] * 12 + [
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "DELETE",
    "PATCH",
    "get",
    "FOO",
    "CONNECT",
    "PURGE",
    "TRACE",
]
PIECES = [
    "/",
    "//",
    "/./",
    "/../",
    "/..",
    "/.",
    "%2F",
    "%2f",
    "%5C",
    "\\",
    "%41",
    "%61",
    "%2e",
    "%2E%2e",
    "%25",
    "%",
    "%zz",
    "%4",
    "%3b",
    ";",
    ";v=1",
    "|",
    '"',
    "{",
    "}",
    "^",
    "`",
    "<",
    "[",
    "]",
    "'",
    "~",
    "!",
    "*",
    "é",
    " ",
    "#",
    "%00",
    "%C3%A9",
    "%c3%a9",
    "..;",
    "a",
    "b",
    "A",
    ":",
    "@",
    "=",
    "+",
    ",",
    "&",
    "\t",
]
QUERIES = [
    "a=1",
    "a=2",
    "a",
    "a=",
    "b=1",
    "a=1&a=2",
    "a=2&a=1",
    "A=1",
    "page=a",
    "q=a%20b",
    "q=a+b",
    "%61=1",
    "a==1",
    "&a=1",
    "?a=1",
    "a=1;b=2",
    "x=%2F",
    "x=/../y",
    "b=A&a=1",
    "q",
    "a=1#f",
    "a=a",
    "",
]


class Sent(NamedTuple):
    """A request as it goes over the wire; `authority` None leaves out the Host header."""

    method: str
    target: str
    authority: str | None
    headers: list[tuple[str, str]]
    version: str = "HTTP/1.1"

    def wire(self) -> bytes:
        """Return the bytes."""
        lines = [f"{self.method} {self.target} {self.version}"]
        if self.authority is not None:
            lines.append(f"host: {self.authority}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


class Answer(NamedTuple):
    """What Envoy answered; status 0 if it closed the connection."""

    status: int
    headers: dict[str, str]


# ------------------------------------------------------------------ requests


def request(rnd: Random, config: dict[str, Any], port: int) -> Sent:
    """Return a request that some route of the table may just match, or just not."""
    host = rnd.choice(config["virtual_hosts"])
    route = rnd.choice(host["routes"]) if host["routes"] else {"match": {}}
    match = route["match"]
    target = _target(rnd, match)
    headers = [pair for spec in match.get("headers", []) for pair in _headers(rnd, spec)]
    method = rnd.choice(METHODS) if rnd.random() < 0.25 else "GET"
    for spec in match.get("headers", []):
        if spec["name"] == ":method" and rnd.random() < 0.8:
            method = spec.get("string_match", {}).get("exact", method)
    for spec in match.get("cookies", []):
        headers += _cookie(rnd, spec)
    if "grpc" in match or rnd.random() < 0.04:
        kind = rnd.choice(
            [
                "application/grpc",
                "application/grpc+proto",
                "application/grpcx",
                "application/grpc;a",
            ]
        )
        headers.append(("content-type", kind))
    headers += _noise(rnd)
    rnd.shuffle(headers)
    if method == "CONNECT" and rnd.random() < 0.7:
        target = rnd.choice(["www.example.com:443", "example.com:80", "a", "localhost:1"])
    version = "HTTP/1.1" if rnd.random() < 0.99 else rnd.choice(["HTTP/1.0", "HTTP/1.0"])
    return Sent(method, target, _authority(rnd, host, port), headers, version)


def _authority(rnd: Random, host: dict[str, Any], port: int) -> str | None:
    if rnd.random() < 0.01:
        return None
    domain: str = rnd.choice(host["domains"])
    if domain == "*":
        domain = rnd.choice(["any.test", "www.example.com", "x.y.example.com", "", "10.0.0.1"])
    if rnd.random() < 0.9:
        domain = domain.replace("*", rnd.choice(["x", "a.b", "w-dev", "", "x."]))
    roll = rnd.random()
    if roll < 0.15:
        domain += rnd.choice([":80", ":8080", f":{port}", ":", ":abc", ":80:90", ":99999999999"])
    elif roll < 0.22:
        domain = rnd.choice([domain.upper(), domain.title()])
    elif roll < 0.27:
        domain += rnd.choice([".", "..", ".:80", f".:{port}"])
    elif roll < 0.30:
        domain = rnd.choice(
            ["[::1]", "[::1]:80", "u@" + domain, "a_b." + domain, "*." + domain, "." + domain]
        )
    elif roll < 0.32:
        domain = rnd.choice(["a/b", "a b", "é", "a?b", "a#b", '"', "a\\b", "<a>"])
    return domain


def _target(rnd: Random, match: dict[str, Any]) -> str:
    made = _path(rnd, match)
    for _ in range(rnd.choice([0, 0, 0, 0, 0, 0, 1, 1, 2, 3])):
        at = rnd.randint(0, len(made))
        made = made[:at] + rnd.choice(PIECES) + made[at:]
    if rnd.random() < 0.1:
        made = rnd.choice(
            [made.upper(), made.lower(), made.swapcase(), made + "/", made.rstrip("/")]
        )
    queries = [q for spec in match.get("query_parameters", []) for q in _query(rnd, spec)]
    if rnd.random() < 0.25:
        queries.append(rnd.choice(QUERIES))
    rnd.shuffle(queries)
    if queries:
        made += "?" + "&".join(queries)
    roll = rnd.random()
    if roll < 0.01:
        made = rnd.choice(["*", "x", "", "?a=1", "//", "///", "/?", "/.", "/..", "/%2f", "//a"])
    elif roll < 0.03:
        prefix = rnd.choice(
            [
                "http://www.example.com",
                "http://Abs.test:80",
                "https://a.test",
                "ftp://x",
                "HTTP://a",
            ]
        )
        made = prefix + made
    elif made and made[0] != "/" and rnd.random() < 0.9:
        made = "/" + made
    return made


def _path(rnd: Random, match: dict[str, Any]) -> str:
    for kind in ("path", "prefix", "path_separated_prefix"):
        if kind in match:
            base: str = match[kind] or "/"
            if kind != "path" and rnd.random() < 0.5:
                base += rnd.choice(["/x", "x", "/", "/a/b", "/b"])
            return base
    if "safe_regex" in match and rnd.random() < 0.9:
        return rnd.choice(
            [
                "/a",
                "/b",
                "/a/b",
                "/foo/x",
                "/FOO/x",
                "/v1",
                "/v1/z",
                "/x.js",
                "/xyy",
                "/a%2Fb",
                "/aa",
                "/svc/GetX",
                "/",
                "bar",
                "/a.b",
                "/aaa/b",
            ]
        )
    return tables.path(rnd)


def _query(rnd: Random, spec: dict[str, Any]) -> list[str]:
    name = spec["name"]
    value = _value(rnd, spec.get("string_match", {}))
    roll = rnd.random()
    if roll < 0.7:
        return [f"{name}={value}"]
    if roll < 0.8:
        return [f"{name}={rnd.choice(['1', '2', 'x'])}", f"{name}={value}"]
    return [name] if roll < 0.9 else []


def _value(rnd: Random, matcher: dict[str, Any]) -> str:
    for kind in ("exact", "prefix", "suffix", "contains"):
        if kind in matcher:
            value: str = matcher[kind]
            if kind != "exact" and rnd.random() < 0.5:
                value = {"prefix": value + "x", "suffix": "x" + value}.get(kind, f"x{value}x")
            if rnd.random() < 0.2:
                value = rnd.choice([value.upper(), value.lower(), value + "1", value[1:]])
            return value
    return rnd.choice(["1", "2", "a", "abc", "ABC", "ac", "12", "", "a,b", "b", "é"])


def _headers(rnd: Random, spec: dict[str, Any]) -> list[tuple[str, str]]:
    name = spec["name"]
    if name.startswith(":") or name == "host":
        return []
    name = rnd.choice([name, name, name.upper(), name.title()])
    if "range_match" in spec:
        edge = int(spec["range_match"].get(rnd.choice(["start", "end"]), 0))
        value = str(edge + rnd.choice([-1, 0, 0, 1]))
        value = rnd.choice([value, value, "+" + value, value + ".0", "0" + value, value + "x", ""])
    else:
        value = _value(rnd, spec.get("string_match", {}))
    roll = rnd.random()
    if roll < 0.12:
        return []
    if roll < 0.27:
        pairs = [(name, value), (name, rnd.choice(["1", "2", "zz", "", value]))]
        return pairs if rnd.random() < 0.5 else pairs[::-1]
    if roll < 0.35:
        return [(name, rnd.choice(["  ", "\t", ""]) + value + rnd.choice(["  ", "\t", ""]))]
    return [(name, value)]


def _cookie(rnd: Random, spec: dict[str, Any]) -> list[tuple[str, str]]:
    value = _value(rnd, spec.get("string_match", {})).replace("é", "e")
    name = spec["name"]
    pair = rnd.choice([f"{name}={value}", f'{name}="{value}"', f"{name}", f" {name} ={value}"])
    lines = rnd.choice(
        [
            [pair],
            [f"z=1; {pair}"],
            [f"{pair}; {name}=other"],
            ["z=1", pair],
            [pair, f"{name}=1"],
            [f"{pair};"],
            [],
        ]
    )
    return [("cookie", line) for line in lines]


def _noise(rnd: Random) -> list[tuple[str, str]]:
    found = []
    if rnd.random() < 0.12:
        found.append((rnd.choice(tables.NAMES), rnd.choice(tables.VALUES)))
    if rnd.random() < 0.03:
        found.append((rnd.choice(["x_under", "a_b"]), "1"))
    if rnd.random() < 0.06:
        found.append(
            (
                "x-forwarded-proto",
                rnd.choice(["https", "http", "ws", "", "HTTPS", "Http", "https,http"]),
            )
        )
    if rnd.random() < 0.03:
        wanted = rnd.choice(["websocket", "WebSocket", "foo", "h2c"])
        tokens = rnd.choice(["Upgrade", "keep-alive, upgrade", "close"])
        found += [("connection", tokens), ("upgrade", wanted)]
    if rnd.random() < 0.02:
        found.append(("host", rnd.choice(["second.example.com", "www.example.com"])))
    if rnd.random() < 0.02:
        found.append(
            rnd.choice(
                [
                    ("bad name", "1"),
                    ("x-ctl", "a\x01b"),
                    ("x-del", "\x7f"),
                    ("", "x"),
                    ("x(y", "1"),
                    ("x-hi", "\udcff"),
                    ("x:y", "1"),
                    ("content-length", "0"),
                    ("content-length", "x"),
                    ("te", "trailers"),
                    ("referer", "http://u@h/"),
                    ("transfer-encoding", "gzip"),
                ]
            )
        )
    return found


# ------------------------------------------------------------------ the wire


class Client:
    """One kept connection to a port; it never normalises anything."""

    def __init__(self, port: int, wrap: Any = None) -> None:
        """Take the port, and what wraps the socket for TLS."""
        self.port = port
        self.wrap = wrap
        self.sock: socket.socket | None = None

    def ask(self, sent: Sent) -> Answer:
        """Send a request and return the answer."""
        for _ in range(2):
            fresh = self.sock is None
            try:
                answer = self._once(sent.wire(), head=sent.method == "HEAD")
            except OSError:
                answer = None
            if answer is not None:
                return answer
            self.close()
            if fresh:
                break
        return Answer(0, {})

    def _once(self, wire: bytes, *, head: bool) -> Answer | None:
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            if self.wrap is not None:
                self.sock = self.wrap(self.sock)
        self.sock.sendall(wire)
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = self.sock.recv(65536)
                if not more:
                    return None
                data += more
            top, _, body = data.partition(b"\r\n\r\n")
            if b" 100 " not in top[:13]:
                break
            data = body  # the answer to `expect: 100-continue`, not to the request
        lines = top.decode("utf-8", "surrogateescape").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        size = 0 if head else int(headers.get("content-length", 0))
        while len(body) < size:
            body += self.sock.recv(65536)
        if headers.get("connection") == "close" or status < 200 or "transfer-encoding" in headers:
            self.close()
        return Answer(status, headers)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self.sock is not None:
            self.sock.close()
        self.sock = None
