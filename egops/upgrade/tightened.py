"""What the CRDs of the target release refuse in an object that those of the installed one took.

`tightenings.json` lists it minor by minor; `tools/schemas.py` writes it from the releases' CRDs.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    EG_POLICY_KINDS,
    ENVOY_PROXY,
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE_FILTER,
    REFERENCE_GRANT,
    ROUTE_KINDS,
)
from egops.upgrade.cel import holds
from egops.upgrade.releases import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path, Resource, Snapshot, Upgrade

KINDS = (
    GATEWAY_CLASS,
    GATEWAY,
    *ROUTE_KINDS,
    REFERENCE_GRANT,
    BACKEND_TLS_POLICY,
    ENVOY_PROXY,
    BACKEND,
    HTTP_ROUTE_FILTER,
    *EG_POLICY_KINDS,
)
UPPER = {
    "maximum": "is more than {}",
    "maxLength": "is longer than {}",
    "maxItems": "has more than {} entries",
    "maxProperties": "has more than {} keys",
}
LOWER = {
    "minimum": "is less than {}",
    "minLength": "is shorter than {}",
    "minItems": "has fewer than {} entries",
    "minProperties": "has fewer than {} keys",
}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Refusal(NamedTuple):
    """One value that the new CRD refuses or prunes."""

    path: Path
    reason: str
    release: str  # whose CRD was read
    is_pruned: bool
    possible: str


class Entry(NamedTuple):
    """One line of the data, ready to be looked for."""

    parts: tuple[str, ...]
    check: Mapping[str, Any]


@cache
def _entries() -> dict[tuple[str, str], tuple[Entry, ...]]:
    raw = resources.files("egops.upgrade").joinpath("tightenings.json").read_bytes()
    found: dict[tuple[str, str], list[Entry]] = {}
    for check in orjson.loads(raw):
        parts = tuple(re.findall(r"\[\]|\{\}|[^.\[\]{}]+", check["path"]))
        found.setdefault((check["group"], check["kind"]), []).append(Entry(parts, check))
    return {key: tuple(value) for key, value in found.items()}


@cache
def _counting(group: str, kind: str, step: Upgrade) -> tuple[Entry, ...]:
    found = _entries().get((group, kind), ())
    return tuple(entry for entry in found if _counts(entry.check, step))


def all_refusals(snapshot: Snapshot) -> list[tuple[Resource, Refusal]]:
    """Return what the target's CRDs refuse in every object of the snapshot, worked out once."""
    found: list[tuple[Resource, Refusal]] | None = snapshot.__dict__.get("_refusals")
    if found is None:
        step = snapshot.upgrade
        found = [
            (resource, refusal)
            for kind in KINDS
            for resource in snapshot.all(kind)
            for refusal in (refusals(resource, step) if step else ())
        ]
        snapshot.__dict__["_refusals"] = found
    return found


def refusals(resource: Resource, step: Upgrade) -> Iterator[Refusal]:
    """Yield what the CRDs between the two releases refuse in an object."""
    for parts, check in _counting(resource.kind.group, resource.kind.name, step):
        for path, value in _walk(resource.body, parts, ()):
            if reason := _reason(check, value):
                yield Refusal(path, reason, check["in"], "gone" in check, _doubt(check, step))


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _counts(entry: Mapping[str, Any], step: Upgrade) -> bool:
    if not step.from_version[:2] < _minor(entry["in"]) <= step.to_version[:2]:
        return False
    return "until" not in entry or step.to_version[:2] < _minor(entry["until"])


def _doubt(entry: Mapping[str, Any], step: Upgrade) -> str:
    """Return the doubt that a patch of the same minor leaves."""
    same_minor = _minor(entry["in"]) == step.to_version[:2]
    if not same_minor or entry["in"] == dotted(step.to_version) or step.to_version[:2] == (1, 3):
        return ""
    return f"read from the CRDs of {entry['in']}; certain if those of the target say the same"


def _walk(value: Any, parts: tuple[str, ...], done: Path) -> Iterator[tuple[Path, Any]]:
    if not parts:
        yield done, value
    elif parts[0] == "[]":
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            yield from _walk(entry, parts[1:], (*done, index))
    elif parts[0] == "{}":
        for key, entry in (value if isinstance(value, dict) else {}).items():
            yield from _walk(entry, parts[1:], (*done, key))
    elif isinstance(value, dict) and value.get(parts[0]) is not None:
        yield from _walk(value[parts[0]], parts[1:], (*done, parts[0]))


def _reason(entry: Mapping[str, Any], value: Any) -> str:
    if "gone" in entry:
        return "the field is gone"
    if "required" in entry:
        missing = [n for n in entry["required"] if isinstance(value, dict) and n not in value]
        return f"{', '.join(missing)} must be given" if missing else ""
    if "rule" in entry:
        return _rule_reason(entry, value)
    return _simple_reason(entry, value)


def _rule_reason(entry: Mapping[str, Any], value: Any) -> str:
    if entry.get("defaults"):
        value = deepcopy(value)
        for path, default in entry["defaults"].items():
            _fill(value, re.findall(r"\[\]|[^.\[\]]+", path), default)
    if holds(entry["rule"], value) is not False:
        return ""
    return str(entry["message"] or entry["rule"]).rstrip(".")


def _fill(value: Any, parts: list[str], default: Any) -> None:
    if parts[0] == "[]":
        for entry in value if isinstance(value, list) else ():
            _fill(entry, parts[1:], default)
    elif not isinstance(value, dict):
        return
    elif len(parts) == 1:
        value.setdefault(parts[0], default)
    elif parts[0] in value:
        _fill(value[parts[0]], parts[1:], default)


def _simple_reason(entry: Mapping[str, Any], value: Any) -> str:
    if "enum" in entry:
        wanted = ", ".join(map(str, entry["enum"]))
        is_lost = value in entry["lost"] if "lost" in entry else value not in entry["enum"]
        return f"{value!r} is none of {wanted}" if is_lost else ""
    if "pattern" in entry:
        if not isinstance(value, str) or _matches(entry["pattern"], value):
            return ""
        if "was" in entry and not _matches(entry["was"], value):
            return ""  # refused before as well
        return f"{value!r} does not match {entry['pattern']}"
    if "type" in entry:
        types = TYPES.get(entry["type"])
        return f"it must be a {entry['type']}" if types and not isinstance(value, types) else ""
    return _bound_reason(entry, value)


def _bound_reason(entry: Mapping[str, Any], value: Any) -> str:
    size: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        size = value
    elif isinstance(value, (str, list, dict)):
        size = len(value)
    if size is None:
        return ""
    shown = repr(value) if isinstance(value, (str, int, float)) else "it"
    for key, words in UPPER.items():
        if key in entry and size > entry[key]:
            return f"{shown} {words.format(entry[key])}"
    for key, words in LOWER.items():
        if key in entry and size < entry[key]:
            return f"{shown} {words.format(entry[key])}"
    return ""


@cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is None or compiled.search(value) is not None
