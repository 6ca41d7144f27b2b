"""What the CRDs of the target release refuse in an object that those of the installed one took.

`tightenings.json` lists it release by release; `tools/schemas.py` writes it from the CRDs. Some
patches were not read: what the releases around them agree on is certain, the rest possible.
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
from egops.upgrade.releases import Version, dotted, is_in_force

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
    release: str  # whose CRD was the first to do so
    is_pruned: bool
    possible: str


class Entry(NamedTuple):
    """One check of the data, ready to be looked for."""

    parts: tuple[str, ...]
    check: Mapping[str, Any]
    changed: tuple[Version, ...]
    back: tuple[Version, ...]

    def counts_in(self, version: Version) -> tuple[bool, bool]:
        """Return whether a release makes the check, and whether that is known for certain."""
        here = is_in_force(version, self.changed, self.back)
        if "exact" in self.check or version in _data()[0]:
            return here, True
        around = [is_in_force(one, self.changed, self.back) for one in _neighbours(version)]
        return any(around), all(one == around[0] for one in around)

    def first(self, version: Version) -> str:
        """Return the release with which the check came, as far as `version` has it."""
        came = [one for one in self.changed if one <= version]
        return dotted(max(came, default=min(self.changed)))


@cache
def _parts(path: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\[\]|\{\}|[^.\[\]{}]+", path))


def _number(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


@cache
def _data() -> tuple[tuple[Version, ...], dict[tuple[str, str], tuple[Entry, ...]]]:
    raw = resources.files("egops.upgrade").joinpath("tightenings.json").read_bytes()
    data = orjson.loads(raw)
    found: dict[tuple[str, str], list[Entry]] = {}
    for check in data["checks"]:
        parts = _parts(check["path"])
        changed, back = (tuple(map(_number, check.get(key, ()))) for key in ("changed", "back"))
        entry = Entry(parts, check, changed, back)
        found.setdefault((check["group"], check["kind"]), []).append(entry)
    read = tuple(map(_number, data["read"]))
    return read, {key: tuple(value) for key, value in found.items()}


@cache
def _neighbours(version: Version) -> tuple[Version, ...]:
    """Return the releases that were read next to one that was not: before it, and after it."""
    read = _data()[0]
    before = [one for one in read if one < version and one[:2] == version[:2]]
    after = [one for one in read if one > version]
    return (*before[-1:], *after[:1])


@cache
def _counting(group: str, kind: str, step: Upgrade) -> tuple[tuple[Entry, str], ...]:
    """Return the checks that the target makes and the installed release does not, with doubts."""
    found = []
    for entry in _data()[1].get((group, kind), ()):
        before, was_sure = entry.counts_in(step.from_version)
        after, is_sure = entry.counts_in(step.to_version)
        if after and not (before and was_sure):
            doubt = "" if was_sure and is_sure else _doubt(entry, step, is_sure=is_sure)
            found.append((entry, doubt))
    return tuple(found)


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
    for entry, doubt in _counting(resource.kind.group, resource.kind.name, step):
        for path, value in _walk(resource.body, entry.parts, ()):
            if reason := _reason(entry.check, value):
                release = entry.first(step.to_version)
                yield Refusal(path, reason, release, "gone" in entry.check, doubt)


def _doubt(entry: Entry, step: Upgrade, *, is_sure: bool) -> str:
    """Return the doubt that a release leaves whose CRDs were not read."""
    if is_sure:
        return f"certain unless the CRDs of {dotted(step.from_version)} refuse it as well"
    read = entry.first(step.to_version)
    return f"read from the CRDs of {read}; certain if those of the target say the same"


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
            _fill(value, _parts(path), default)
    if holds(entry["rule"], value) is not False:
        return ""
    return str(entry["message"] or entry["rule"]).rstrip(".")


def _fill(value: Any, parts: tuple[str, ...], default: Any) -> None:
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
def _pattern(pattern: str) -> Any:
    import re2

    try:
        return re2.compile(pattern)
    except re2.error:
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is None or compiled.search(value) is not None
