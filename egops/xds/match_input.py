"""Requests as people and files write them: the JSON contract, and URLs with curl's options."""

from __future__ import annotations

import re
from typing import Any

from egops.errors import InputError
from egops.xds.match_request import Headers, Request, encode

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(?:#.*)?", re.DOTALL)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
PROTOCOLS = {"http/1.1": "http/1.1", "http/1.0": "http/1.0", "h2": "h2", "h3": "h3", "grpc": "h2"}


def from_json(spec: Any) -> Request:
    """Return the request of one line of the contract.

    Header values are strings, or lists of them for repeated lines; `headers` may also be a list of
    pairs.

    Raises:
        InputError: a field is not what it should be.
    """
    if not isinstance(spec, dict):
        raise InputError("a request is a JSON object")
    headers = _headers(spec.get("headers"))
    authority = _text(spec, "authority")
    hosts = [value for name, value in headers if name.lower() == b"host"]
    raw = encode(authority) if authority is not None else None
    if raw is None and hosts:
        headers = tuple(pair for pair in headers if pair[0].lower() != b"host")
        raw = b",".join(hosts)
    path = _text(spec, "path")
    port = spec.get("port")
    if port is not None and (not isinstance(port, int) or isinstance(port, bool)):
        raise InputError("`port` is no number")
    protocol = _text(spec, "protocol") or _text(spec, "proto") or "http/1.1"
    return Request(
        method=encode(_text(spec, "method") or "GET"),
        target=encode("/" if path is None else path),
        authority=raw,
        headers=headers,
        scheme=(_text(spec, "scheme") or "").lower(),
        listener=_text(spec, "listener") or "",
        port=port or 0,
        sni=_text(spec, "sni"),
        source=_text(spec, "source_ip") or "",
        protocol=PROTOCOLS.get(protocol.lower(), protocol.lower()),
    )


def _text(spec: dict[str, Any], key: str) -> str | None:
    value = spec.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"`{key}` is no string")
    return value


def _headers(given: Any) -> Headers:
    if given is None:
        return ()
    pairs = given.items() if isinstance(given, dict) else given
    if not isinstance(given, (dict, list)):
        raise InputError("`headers` is neither an object nor a list of pairs")
    found = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InputError("`headers` has an entry that is no pair of name and value")
        name, values = pair
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(name, str) or not isinstance(value, str):
                raise InputError(f"header {name!r} has a value that is no string")
            if not name.startswith(":"):
                found.append((encode(name), encode(value)))
    return tuple(found)


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, authority and path with query of a URL; the fragment stays with the client.

    Raises:
        InputError: it has no scheme or no host.
    """
    found = _URL.fullmatch(url.strip())
    if found is None:
        hint = f"write it with a scheme: http://{url.lstrip('/')}" if url else ""
        raise InputError(f"{url!r} is no URL with a scheme and a host", hint=hint)
    scheme, authority, path = found[1].lower(), found[2], found[3]
    if scheme not in ("http", "https"):
        raise InputError(f"{url!r} has the scheme {scheme}", hint="write http:// or https://")
    authority = authority.rpartition("@")[2]
    if not authority or authority.startswith(":"):
        raise InputError(f"{url!r} names no host")
    return scheme, authority, path if path.startswith("/") else f"/{path}"


def bad_escapes(path: str) -> bool:
    """Return whether a path has `%` that begins no escape; Envoy takes it as it is."""
    return _ESCAPE.search(path.partition("?")[0]) is not None


def header_lines(lines: tuple[str, ...]) -> tuple[Headers, list[str]]:
    """Return headers written as curl takes them, and the values of `Host` among them.

    `Name: value` sets, `Name;` sets an empty value, `Name:` leaves out.

    Raises:
        InputError: a header has neither colon nor semicolon.
    """
    found: list[tuple[bytes, bytes]] = []
    hosts: list[str] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            if not line.endswith(";"):
                raise InputError(f"header {line!r} has no colon", hint="write -H 'name: value'")
            found.append((encode(line[:-1].strip()), b""))
        elif name.strip().lower() == "host":
            hosts.append(value.strip())
        elif value.strip():
            found.append((encode(name.strip()), encode(value.strip())))
    return tuple(found), hosts


def port_of(authority: str) -> int:
    """Return the port that an authority names, or 0."""
    _, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]") or not port.isdigit():
        return 0
    return int(port)
