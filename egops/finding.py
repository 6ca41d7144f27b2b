"""What rules say, and what the engine makes of it: Problem in, Finding and Report out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from egops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egops.snapshot import Broken, Location, Source


class Severity(IntEnum):
    """How bad it is. A rule's severity is the worst it can say; a problem may be milder."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        """Return the word used in reports: `error`."""
        return self.name.lower()


class Confidence(IntEnum):
    """How sure the rule is that this is what hurts."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    def __str__(self) -> str:
        """Return the word used in reports: `high`."""
        return self.name.lower()


@dataclass(frozen=True)
class Problem:
    """What a rule found: what is wrong, and where.

    `message` is one clause in the present tense, without a full stop and without advice; `impact`
    is what users notice, now or later. `evidence` are the facts that prove it, `why` the cause if
    it is known, `do_now` what to do or leave before the repair, `remedy` the steps of the repair in
    order, with this case's names in them. `explains` are codes that this problem is the
    root of, limited to `explains_refs` if any are given.
    """

    at: Location
    message: str
    impact: str = ""
    evidence: tuple[str, ...] = ()
    why: str = ""
    do_now: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    severity: Severity | None = None  # milder than the rule's, or None for the rule's own
    confidence: Confidence = Confidence.HIGH
    related: tuple[Location, ...] = ()
    explains: tuple[str, ...] = ()
    explains_refs: tuple[str, ...] = ()  # str(ref) of the objects whose findings are explained
    fix_patch: str = ""  # a YAML merge patch that repairs the object
    settled: bool = True  # False: too young to alarm; the engine drops it unless --strict


@dataclass(frozen=True)
class Unjudged:
    """Part of what a rule should have looked at and could not: a reported skip."""

    reason: str


class CannotJudge(Exception):  # noqa: N818 - it is no error but an answer
    """Raised by a rule that can judge nothing: the whole rule becomes a reported skip."""


@dataclass(frozen=True)
class Finding:
    """A problem with its rule's name on it."""

    code: str
    name: str
    severity: Severity
    problem: Problem
    docs: str

    @property
    def at(self) -> Location:
        """Return the place the finding points to."""
        return self.problem.at

    @cached_property
    def fingerprint(self) -> str:
        """Return a name for this finding that survives re-runs, other findings and line shifts."""
        ref, at = self.at.ref, self.at
        path = ".".join(str(part) for part in at.path)
        text = "\n".join((self.code, ref.kind.resource, ref.namespace, ref.name, at.section, path))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def order(self) -> tuple[object, ...]:
        """Return the sort key: worst first, then by object, path and code."""
        ref, at = self.at.ref, self.at
        return (
            -self.severity,
            ref.kind.name,
            ref.namespace,
            ref.name,
            at.section,
            tuple(str(part).zfill(6) for part in at.path),
            self.code,
            self.problem.message,
        )


@dataclass(frozen=True)
class Skip:
    """A rule, or part of one, that judged nothing, and why."""

    code: str
    reason: str


@dataclass(frozen=True)
class Crash:
    """A rule that failed: a bug in egops, kept from hiding what the others see."""

    code: str
    error: str
    traceback: str


@dataclass(frozen=True)
class Suppressed:
    """A finding that somebody decided to accept."""

    finding: Finding
    reason: str
    by: str  # the file and entry, or the annotation


@dataclass(frozen=True)
class Folded:
    """A finding that another one explains: hidden by default."""

    finding: Finding
    root: Finding


@dataclass(frozen=True)
class Report:
    """All that a run of the engine says."""

    command: str
    version: str
    source: Source
    taken_at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)  # egVersion, gateways, proxies, …
    findings: tuple[Finding, ...] = ()
    folded: tuple[Folded, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    skipped: tuple[Skip, ...] = ()
    crashed: tuple[Crash, ...] = ()
    ok: tuple[tuple[str, str], ...] = ()  # code and the true sentence it proved
    judged: int = 0  # rules that could judge, whatever they said
    broken: tuple[Broken, ...] = ()
    notes: tuple[str, ...] = ()
    timed_out: bool = False

    @cached_property
    def explained(self) -> Mapping[str, list[Finding]]:
        """Return the folded findings by the fingerprint of their root."""
        found: dict[str, list[Finding]] = {}
        for fold in self.folded:
            found.setdefault(fold.root.fingerprint, []).append(fold.finding)
        return found

    def exit_code(self, fail_on: Severity | None) -> ExitCode:
        """Return the exit code: a bug, a timeout, bad input, findings, blindness, or 0."""
        if self.crashed:
            return ExitCode.BUG
        if self.timed_out:
            return ExitCode.TIMEOUT
        if self.broken:
            return ExitCode.USAGE
        everything = [*self.findings, *(folded.finding for folded in self.folded)]
        if fail_on is not None and any(finding.severity >= fail_on for finding in everything):
            return ExitCode.FINDINGS
        if not self.judged:
            return ExitCode.CANNOT_JUDGE
        return ExitCode.OK
