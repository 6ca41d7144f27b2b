"""The blast radius of `egops upgrade-check`: two states of the same objects, compared."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from egops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.finding import Report
    from egops.gather import SourceOptions, Wanted
    from egops.snapshot import Snapshot

RULES = ("EGU-0001", "EGU-0004")


class States(NamedTuple):
    """Where the two states come from, as the user said it."""

    before: str = ""  # a dump or a bundle
    after: str = ""
    egctl_from: str = ""
    egctl_to: str = ""

    @property
    def are_given(self) -> bool:
        """Return whether anything is to be compared."""
        return any(self)


def state_options(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that name two states."""
    for option in reversed(
        (
            click.option(
                "--before",
                metavar="FILE",
                default="",
                help="Compare: a config dump or a bundle of the release that was.",
            ),
            click.option(
                "--after",
                metavar="FILE",
                default="",
                help="… with this one; with the cluster if not given.",
            ),
            click.option(
                "--egctl-from",
                metavar="BINARY",
                default="",
                help="Compare what egctl of the installed release makes of -f …",
            ),
            click.option(
                "--egctl-to",
                metavar="BINARY",
                default="",
                help="… with what egctl of the target makes of it.",
            ),
        )
    ):
        function = option(function)
    return function


class Compared(NamedTuple):
    """Two states side by side: the later one knows the earlier."""

    snapshot: Snapshot
    releases: tuple[tuple[int, ...] | None, tuple[int, ...] | None]  # as far as the states tell


def read(states: States, source: SourceOptions, wanted: Wanted) -> Compared:
    """Return both states.

    Raises:
        InputError: the options don't name two states.
    """
    if states.egctl_from or states.egctl_to:
        return _by_egctl(states, source, wanted)
    if not states.before:
        raise InputError("--after needs --before: the state to compare with")
    return _by_files(states, source, wanted)


def _by_egctl(states: States, source: SourceOptions, wanted: Wanted) -> Compared:
    from dataclasses import replace

    from egops.gather.egctl import gaps, translated

    if not (states.egctl_from and states.egctl_to) or states.before or states.after:
        raise InputError("--egctl-from and --egctl-to go together, without --before and --after")
    if not source.files:
        raise InputError("egctl translates manifests", hint="give them with -f")
    objects = _gather(source, wanted)
    old, new = (translated(binary, objects) for binary in (states.egctl_from, states.egctl_to))
    past = replace(objects, proxies=old.proxies)
    notes = (*objects.notes, *gaps(old.version, new.version))
    snapshot = replace(objects, proxies=new.proxies, before=past, notes=notes)
    return Compared(snapshot, (old.version, new.version))


def _by_files(states: States, source: SourceOptions, wanted: Wanted) -> Compared:
    """Return the states of files; without `--after` the later one is what is there now."""
    from dataclasses import replace

    past = _state(states.before, source)
    if states.after:
        now = _state(states.after, source)
        objects = _gather(source, wanted) if source.files else None
    else:
        now, objects = _gather(source, wanted), None
        if not now.proxies:
            raise InputError(
                "there is no later state to compare with", hint="name one with --after FILE"
            )
    holder = objects or (past if past.resources else now)
    # dumps have no objects: both states are of the same ones then
    if not past.resources:
        past = replace(holder, proxies=past.proxies, notes=past.notes)
    if not now.resources:
        now = replace(holder, proxies=now.proxies, notes=now.notes)
    return Compared(replace(now, before=past), (_release(past), _release(now)))


def _release(snapshot: Snapshot) -> tuple[int, ...] | None:
    from egops.upgrade.select import installed

    found = installed(snapshot)
    return found.version if found else None


def _state(file: str, source: SourceOptions) -> Snapshot:
    """Return the state that a dump or a bundle holds."""
    from dataclasses import replace

    from egops.gather import Wanted, is_bundle
    from egops.snapshot import Probe

    bare = replace(source, files=(), config_dumps=(), admin=())
    given = replace(bare, files=(file,)) if is_bundle(file) else replace(bare, config_dumps=(file,))
    return _gather(given, Wanted(probes=frozenset({Probe.CONFIG_DUMP})))


def _gather(source: SourceOptions, wanted: Wanted) -> Snapshot:
    from egops.gather import gather
    from egops.gather.progress import progress_on

    with progress_on(sys.stderr) as progress:
        return gather(source, wanted, progress)


def merged(one: Report, other: Report) -> Report:
    """Return both reports as one: what was predicted, and what the comparison found."""
    from dataclasses import replace

    findings = sorted((*one.findings, *other.findings), key=lambda finding: finding.order)
    return replace(
        one,
        findings=tuple(findings),
        folded=(*one.folded, *other.folded),
        suppressed=(*one.suppressed, *other.suppressed),
        skipped=tuple(sorted((*one.skipped, *other.skipped), key=lambda skip: skip.code)),
        crashed=(*one.crashed, *other.crashed),
        ok=tuple(sorted((*one.ok, *other.ok))),
        judged=one.judged + other.judged,
        broken=tuple(dict.fromkeys((*one.broken, *other.broken))),
        notes=tuple(dict.fromkeys((*one.notes, *other.notes))),
        timed_out=one.timed_out or other.timed_out,
    )
