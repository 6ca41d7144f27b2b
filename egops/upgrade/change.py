"""How an upgrade rule says what it found: today and after, how sure, what to do, how to verify."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from egops.finding import CannotJudge, Confidence, Problem
from egops.snapshot import Resource, text
from egops.upgrade.releases import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.finding import Severity
    from egops.snapshot import Location, Path, Snapshot, Upgrade

DELETE = object()


def upgrade_of(snapshot: Snapshot) -> Upgrade:
    """Return the upgrade asked about.

    Raises:
        CannotJudge: nobody asked about one.
    """
    if snapshot.upgrade is None:
        raise CannotJudge("no upgrade is asked about (egops upgrade-check --to …)")
    return snapshot.upgrade


def change(  # noqa: PLR0913 - what a finding tells, each by name
    snapshot: Snapshot,
    at: Location,
    message: str,
    *,
    today: str,
    after: str,
    keep: tuple[str, ...] = (),
    verify: str = "",
    severity: Severity | None = None,
    possible: str = "",
    evidence: tuple[str, ...] = (),
    fix_patch: str = "",
    related: tuple[Location, ...] = (),
) -> Problem:
    """Return the problem of one change; `possible` says what would make it certain."""
    step = upgrade_of(snapshot)
    sure = f"possible: {possible}" if possible else "certain: the objects given are enough to tell"
    return Problem(
        at,
        message,
        evidence=(
            *evidence,
            f"today ({dotted(step.from_version)}): {today}",
            f"after ({dotted(step.to_version)}): {after}",
            sure,
        ),
        remedy=(*keep, *((f"verify after the upgrade: {verify}",) if verify else ())),
        severity=severity,
        confidence=Confidence.MEDIUM if possible else Confidence.HIGH,
        related=related,
        fix_patch=fix_patch,
    )


def patch(resource: Resource, path: Path, value: Any = DELETE) -> str:
    """Return a merge patch that sets (or deletes) the value at `path`, as YAML.

    Lists can't be merged entry by entry: the patch carries the whole outermost list.
    """
    head: dict[str, Any] = {
        "apiVersion": text(resource.body, "apiVersion") or resource.kind.api_version,
        "kind": resource.kind.name,
        "metadata": {"name": resource.name},
    }
    if resource.kind.namespaced:
        head["metadata"]["namespace"] = resource.namespace
    place: Any = head
    source: Any = resource.body
    for index, part in enumerate(path[:-1]):
        source = source[part]
        if isinstance(source, list):
            copy = deepcopy(source)
            _edit(copy, path[index + 1 :], value)
            place[part] = copy
            return to_yaml(head)
        place = place.setdefault(part, {})
    place[path[-1]] = None if value is DELETE else value
    return to_yaml(head)


def _edit(copy: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        copy = copy[part]
    if value is DELETE:
        del copy[path[-1]]
    else:
        copy[path[-1]] = value


def to_yaml(value: Mapping[str, Any]) -> str:
    """Return block YAML of plain JSON; every string that could be misread is quoted."""
    return "\n".join(_lines(value, 0)) + "\n"


def _lines(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if isinstance(value, dict) and value:
        found = []
        for key, entry in value.items():
            if isinstance(entry, (dict, list)) and entry:
                found += [f"{pad}{_scalar(key)}:", *_lines(entry, depth + 1)]
            else:
                found.append(f"{pad}{_scalar(key)}: {_scalar(entry)}")
        return found
    if isinstance(value, list) and value:
        found = []
        for entry in value:
            lines = _lines(entry, depth + 1)
            found += [f"{pad}- {lines[0].lstrip()}", *lines[1:]]
        return found
    return [f"{pad}{_scalar(value)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and value and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"}


def _is_plain(value: str) -> bool:
    if value.lower() in _WORDS or value[0] in "0123456789-+.=" or value[-1] in ": ":
        return False
    return all(char.isalnum() or char in "._/-" for char in value)
