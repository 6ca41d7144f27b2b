"""Changes of request headers before the route is looked up (`earlyRequestHeaders`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.xds.config_dump import plain
from egops.xds.walk_codec import SINGLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msgspec import Raw


def mutate(lines: dict[bytes, list[bytes]], unsure: set[bytes], extensions: Iterable[Raw]) -> None:
    """Apply the mutations of a connection manager; values that Envoy computes become unsure."""
    for raw in extensions:
        extension = plain(raw)
        config = extension.get("typed_config") if isinstance(extension, dict) else None
        mutations = config.get("mutations") if isinstance(config, dict) else None
        for mutation in mutations or []:
            if isinstance(name := mutation.get("remove"), str):
                lines.pop(name.lower().encode("utf-8"), None)
                unsure.discard(name.lower().encode("utf-8"))
            elif isinstance(entry := mutation.get("append"), dict):
                _append(lines, unsure, entry)


def _append(lines: dict[bytes, list[bytes]], unsure: set[bytes], entry: dict[str, Any]) -> None:
    header = entry.get("header") or {}
    name = str(header.get("key", "")).lower().encode("utf-8")
    text = str(header.get("value", ""))
    if not text and not entry.get("keep_empty_value"):
        return
    action = entry.get("append_action", "APPEND_IF_EXISTS_OR_ADD")
    present = name in lines
    if (action == "ADD_IF_ABSENT" and present) or (action == "OVERWRITE_IF_EXISTS" and not present):
        return
    value = text.replace("%%", "%").encode("utf-8")
    if "%" in text.replace("%%", ""):
        unsure.add(name)
    elif action.startswith("OVERWRITE"):
        unsure.discard(name)
    if action == "APPEND_IF_EXISTS_OR_ADD" and present:
        kept = [*lines[name], value]
        lines[name] = [b",".join(filter(None, kept))] if name in SINGLE else kept
    else:
        lines[name] = [value]
