"""`egops.toml`: which rules run, and which findings somebody decided to accept.

    [doctor]
    skip = ["EGD-207", "capacity"]
    fail-on = "warning"

    [[suppress]]
    code = "EGD-701"                    # or codes = [...]
    object = "Gateway/demo/*"           # kind/namespace/name or kind/name, globs; absent: all
    reason = "one replica is enough for the demo"
    until = 2027-01-31                  # optional; ignored from the day after

On an object the same is an annotation, several separated by `;`:

    egops.dev/suppress: "EGD-701: one replica is enough until 2027-01-31"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.finding import Finding
    from egops.rules import Rule
    from egops.snapshot import Ref, Snapshot

FILES = ("egops.toml", ".egops.toml")
ANNOTATION = "egops.dev/suppress"
_ENTRY = re.compile(
    r"^\s*(?P<codes>EG[DU]-\d+(?:\s*,\s*EG[DU]-\d+)*)\s*:\s*(?P<reason>.*?)"
    r"(?:\s*\(?until\s+(?P<until>\d{4}-\d\d-\d\d)\)?)?\s*$"
)


@dataclass(frozen=True)
class Suppression:
    """One decision to accept a finding."""

    codes: frozenset[str]
    reason: str
    pattern: str = ""
    until: date | None = None
    by: str = ""

    def covers(self, finding: Finding, on: date) -> bool:
        """Return whether it holds for this finding on this day."""
        if finding.code not in self.codes or (self.until is not None and on > self.until):
            return False
        return not self.pattern or fnmatchcase(path_of(finding.at.ref), self.pattern)


@dataclass(frozen=True)
class Config:
    """What the configuration file says."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fail_on: str = ""
    suppressions: tuple[Suppression, ...] = ()


def path_of(ref: Ref) -> str:
    """Return `Kind/namespace/name`, or `Kind/name` for cluster-scoped kinds."""
    return "/".join(part for part in (ref.kind.name, ref.namespace, ref.name) if part)


def load(given: str = "") -> Config:
    """Return the configuration in `given`, else in the first of FILES that is here, else none.

    Raises:
        InputError: the file is missing, is not TOML, or says something unknown.
    """
    paths = [Path(given)] if given else [Path(name) for name in FILES if Path(name).is_file()]
    if not paths:
        return Config()
    path = paths[0]
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} is not TOML: {exc}") from None
    if unknown := set(document) - {"doctor", "suppress"}:
        raise InputError(f"{path}: unknown key {min(unknown)!r}")
    doctor = document.get("doctor", {})
    if unknown := set(doctor) - {"only", "skip", "fail-on"}:
        raise InputError(f"{path}: unknown key doctor.{min(unknown)}")
    entries = document.get("suppress", [])
    return Config(
        tuple(doctor.get("only", ())),
        tuple(doctor.get("skip", ())),
        doctor.get("fail-on", ""),
        tuple(_suppression(entry, f"{path}, suppress[{i}]") for i, entry in enumerate(entries)),
    )


def _suppression(entry: dict[str, Any], place: str) -> Suppression:
    codes = frozenset([*entry.get("codes", ()), *([entry["code"]] if "code" in entry else ())])
    if not codes:
        raise InputError(f"{place}: no code")
    if not str(entry.get("reason", "")).strip():
        raise InputError(f"{place}: no reason", hint="say why this finding is accepted")
    until = entry.get("until")
    if isinstance(until, datetime):
        until = until.date()
    if until is not None and not isinstance(until, date):
        raise InputError(f"{place}: until is no date such as 2027-01-31")
    return Suppression(codes, str(entry["reason"]), str(entry.get("object", "")), until, place)


def annotated(value: str, place: str) -> list[Suppression]:
    """Return the suppressions in an annotation; an entry without a reason does not count."""
    found = []
    for entry in re.split(r"[;\n]", value):
        match = _ENTRY.match(entry)
        if match is None or not match["reason"].strip(" -"):
            continue
        until = date.fromisoformat(match["until"]) if match["until"] else None
        codes = frozenset(re.split(r"\s*,\s*", match["codes"]))
        found.append(Suppression(codes, match["reason"].strip(), "", until, place))
    return found


def suppressor(
    config: Config, snapshot: Snapshot
) -> Callable[[Finding, datetime], tuple[str, str] | None]:
    """Return the function that tells why a finding is accepted, by whom; None if it is not."""

    def suppress(finding: Finding, now: datetime) -> tuple[str, str] | None:
        resource = snapshot.get(finding.at.ref)
        value = resource.annotations.get(ANNOTATION) if resource else None
        own = annotated(value, f"annotation {ANNOTATION}") if isinstance(value, str) else []
        for suppression in (*config.suppressions, *own):
            if suppression.covers(finding, now.date()):
                return suppression.reason, suppression.by
        return None

    return suppress


def choose(rules: Iterable[Rule], only: Iterable[str], skip: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules that `only` names (all if it is empty) and `skip` does not.

    Each word is a code, a name, an area, or a glob of one; several may be joined by commas.

    Raises:
        InputError: a word names no rule.
    """
    rules = tuple(rules)
    chosen = _named(rules, only) if only else set(rules)
    without = _named(rules, skip)
    return tuple(rule for rule in rules if rule in chosen and rule not in without)


def _named(rules: tuple[Rule, ...], words: Iterable[str]) -> set[Rule]:
    found: set[Rule] = set()
    for word in (part.strip() for entry in words for part in entry.split(",")):
        named = {
            rule
            for rule in rules
            if fnmatchcase(rule.code, word.upper())
            or fnmatchcase(rule.name, word.lower())
            or fnmatchcase(rule.area, word.lower())
        }
        if not named:
            raise InputError(f"no rule is called {word!r}", hint="egops rules lists them")
        found |= named
    return found
