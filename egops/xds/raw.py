"""Raw JSON inside decoded structs: opened only as deep as somebody asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def tree_targets(matcher: Any) -> Iterator[dict[str, Any]]:
    """Yield what a matcher tree can lead to (`OnMatch` with an action), in the order of the dump.

    `matcher` is `xds.type.matcher.v3.Matcher` as plain JSON.
    """
    found: list[Any] = []
    listed, tree = matcher.get("matcher_list"), matcher.get("matcher_tree")
    if isinstance(listed, dict):
        found += [entry.get("on_match") for entry in listed.get("matchers", [])]
    if isinstance(tree, dict):
        for kind in ("exact_match_map", "prefix_match_map"):
            found += tree.get(kind, {}).get("map", {}).values()
    for target in (*found, matcher.get("on_no_match")):
        if not isinstance(target, dict):
            continue
        if isinstance(nested := target.get("matcher"), dict):
            yield from tree_targets(nested)
        elif "action" in target:
            yield target


def tree_routes(target: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the routes of a matcher tree's action: one, or a list of them."""
    action = target.get("action")
    config = action.get("typed_config") if isinstance(action, dict) else None
    if not isinstance(config, dict):
        return []
    kind = str(config.get("@type", "")).rpartition(".")[2]
    if kind == "RouteList":
        return [route for route in config.get("routes", []) if isinstance(route, dict)]
    return [config] if kind == "Route" else []


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
