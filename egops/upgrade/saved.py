"""The findings of a saved report of `egops upgrade-check`, read back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.finding import Finding, Problem, Severity
from egops.gatewayapi import kind_of
from egops.snapshot import Location, Ref, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path

_STEP = re.compile(r"\[(\d+)\]|\['([^']*)'\]|\.?([^.\[\]]+)")


def findings_of(document: Any) -> tuple[Finding, ...]:
    """Return the findings of a report, folded ones too.

    Raises:
        InputError: it is no report of `egops upgrade-check`.
    """
    if not isinstance(document, dict) or document.get("command") != "upgrade-check":
        raise InputError(
            "it is no report of upgrade-check", hint="write one with: egops upgrade-check -o json"
        )
    return tuple(finding for key in ("findings", "folded") for finding in _findings(document, key))


def _findings(document: Any, key: str) -> Iterator[Finding]:
    for _, entry in items(document, key):
        at = _location(section(entry, "object"), text(entry, "path"))
        if at is None or text(entry, "severity").upper() not in Severity.__members__:
            continue
        related = (
            _location(section(other, "object"), text(other, "path"))
            for _, other in items(entry, "related")
        )
        problem = Problem(
            at,
            text(entry, "message"),
            related=tuple(filter(None, related)),
            fix_patch=text(entry, "fix", "patch"),
        )
        severity = Severity[text(entry, "severity").upper()]
        yield Finding(
            text(entry, "code"), text(entry, "name"), severity, problem, text(entry, "docs")
        )


def _location(about: Any, path: str) -> Location | None:
    group = text(about, "apiVersion").rpartition("/")[0]
    kind = kind_of(group, text(about, "kind"))
    if kind is None:
        return None
    ref = Ref(kind, text(about, "namespace"), text(about, "name"))
    return Location(ref, _path(path), section=text(about, "section"))


def _path(written: str) -> Path:
    """Return `("spec", "rules", 0)` for `spec.rules[0]`."""
    return tuple(
        int(index) if index else quoted or name for index, quoted, name in _STEP.findall(written)
    )
