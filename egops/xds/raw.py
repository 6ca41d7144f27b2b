"""Raw JSON inside decoded structs: opened only as deep as somebody asks."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

T = TypeVar("T")
EMPTY = Raw()


def plain(raw: Raw) -> Any:
    """Return a raw value as plain JSON (dict, list, str, …); None for a field that was absent."""
    return msgspec.json.decode(raw) if raw else None


def keys(raw: Raw) -> tuple[str, ...]:
    """Return the keys of a raw object; none if it is absent or no object."""
    if not raw:
        return ()
    try:
        return tuple(_decode_keys(raw))
    except msgspec.MsgspecError:
        return ()


_decode_keys = msgspec.json.Decoder(dict[str, Raw]).decode


def lenient(raw: Raw, kind: type[T]) -> T | None:
    """Return a raw value as a struct; None if it is absent or of another shape."""
    try:
        return msgspec.json.decode(raw, type=kind) if raw else None
    except msgspec.MsgspecError:
        return None


_TYPE = re.compile(rb'\s*\{\s*"@type"\s*:\s*"([^"\\]+)"')


class _Typed(Struct, gc=False):
    type: str = field(default="", name="@type")


def type_of(raw: Raw | bytes) -> str:
    """Return the `@type` of a raw message, or an empty string."""
    head = bytes(memoryview(raw)[:300])
    if found := _TYPE.match(head):
        return found[1].decode("utf-8", "replace")
    try:
        return msgspec.json.decode(raw, type=_Typed).type
    except msgspec.DecodeError:
        return ""
