"""Many requests from files: the JSON contract line by line, and HTTP archives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.errors import AccessError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.match_request import Request


class Asked(NamedTuple):
    """A request of a file as it was written, or what is wrong with it."""

    place: int  # line, or number of the entry
    spec: Any
    request: Request | None = None
    problem: str = ""


def read_bytes(name: str) -> bytes:
    """Return the contents of a file, or of standard input for `-`.

    Raises:
        AccessError: it cannot be read.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as exc:
        raise AccessError(f"cannot read {name}: {exc.strerror}") from None


def read_lines(name: str) -> Iterator[Asked]:
    """Yield the requests of a file with one JSON object a line."""
    import msgspec

    from egops.xds.match_input import from_json

    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(read_bytes(name).splitlines(), 1):
        if not line.strip():
            continue
        try:
            spec = decode(line)
            yield Asked(number, spec, from_json(spec))
        except msgspec.DecodeError as exc:
            yield Asked(number, None, problem=f"{exc}: {line[:120].decode('utf-8', 'replace')}")
        except InputError as exc:
            yield Asked(number, spec, problem=exc.message)


def read_har(name: str) -> Iterator[Asked]:
    """Yield the requests of an HTTP archive.

    Raises:
        InputError: the file is no HTTP archive.
    """
    import msgspec

    try:
        document = msgspec.json.decode(read_bytes(name))
        entries = document["log"]["entries"]
    except (msgspec.DecodeError, KeyError, TypeError) as exc:
        raise InputError(f"{name} is no HTTP archive: {exc}") from None
    if not isinstance(entries, list):
        raise InputError(f"{name} is no HTTP archive: its entries are no list")
    for number, entry in enumerate(entries, 1):
        try:
            spec = _of_har(entry["request"])
        except (KeyError, TypeError):
            yield Asked(number, None, problem="the entry has no request")
            continue
        except InputError as exc:
            yield Asked(number, None, problem=exc.message)
            continue
        from egops.xds.match_input import from_json

        yield Asked(number, spec, from_json(spec))


def _of_har(found: dict[str, Any]) -> dict[str, Any]:
    from egops.xds.match_input import split_url

    scheme, authority, path = split_url(found["url"])
    headers = [
        [header["name"], header["value"]]
        for header in found.get("headers", [])
        if not header["name"].startswith(":") and header["name"].lower() != "host"
    ]
    version = str(found.get("httpVersion", "")).lower()
    return {
        "method": found.get("method", "GET"),
        "scheme": scheme,
        "authority": authority,
        "path": path,
        "headers": headers,
        "protocol": "h2" if version in ("h2", "http/2", "http/2.0") else "http/1.1",
    }
