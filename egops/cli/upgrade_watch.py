"""`egops upgrade-check --watch-after`: record, wait until the upgrade is there, verify it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from egops.cli.options import DURATION
from egops.errors import EgopsError, InputError, TimeoutReached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egops.finding import Problem
    from egops.gather import SourceOptions
    from egops.snapshot import Snapshot

POLL = 5.0  # seconds between two looks
SETTLE = 20.0  # seconds that the new release must have been there before it is verified
PATIENCE = 120.0  # seconds to wait for proxies that only differ from what the release ships


def watch_options(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options of watching."""
    for option in reversed(
        (
            click.option(
                "--watch-after",
                is_flag=True,
                help="Record what is there, wait until the target release runs, then verify.",
            ),
            click.option(
                "--record",
                metavar="FILE.zip",
                default="",
                help="Where --watch-after records; before-RELEASE-TIME.zip if not given.",
            ),
            click.option(
                "--watch-limit",
                type=DURATION,
                default="2h",
                show_default=True,
                help="Give up waiting after this; exit code 124.",
            ),
        )
    ):
        function = option(function)
    return function


def watch(
    source: SourceOptions,
    target: str,
    options: Mapping[str, object],
    check: Callable[[SourceOptions], object],
) -> None:
    """Record, check, wait, verify. Ctrl-C leaves the recording, and says how to go on with it.

    Args:
        source: a cluster.
        target: the release that is waited for, as the user names it.
        options: the options of `upgrade-check`.
        check: prints what is predicted of a recording.

    Raises:
        InputError: the source is no cluster.
        TimeoutReached: the release was not there in time.
    """
    from egops.cli.report import ReportOptions
    from egops.cli.upgrade import load, prepared, verified
    from egops.gather import SourceOptions
    from egops.upgrade.releases import dotted
    from egops.upgrade.select import step_of

    if not source.is_cluster:
        raise InputError("--watch-after watches a cluster, not files")
    file = _record(source, str(options["record"]))
    past = load(file)
    step, _ = step_of(past, "", target)
    later = f"egops upgrade verify --snapshot {file}"
    output = str(options["output"])
    if output in ("text", "markdown"):
        check(SourceOptions(files=(file,)))
    wanted = dotted(step.to_version)
    click.echo(
        f"recorded {file}; waiting for Envoy Gateway {wanted} (Ctrl-C, then: {later})", err=True
    )
    try:
        wait(lambda: left(past, source, step.to_version), float(str(options["watch_limit"])))
    except KeyboardInterrupt:
        click.echo(f"\nno longer waiting; the recording is kept, verify with: {later}", err=True)
        raise
    except TimeoutReached as exc:
        raise TimeoutReached(exc.message, hint=f"when it is there: {later}") from None
    report = ReportOptions(
        output=output if output in ("json", "yaml", "name") else "text",
        min_severity=str(options["min_severity"]),
        fail_on=str(options["fail_on"]),
        baseline=str(options["baseline"]),
        config=str(options["config"]),
        verbose=bool(options["verbose"]),
    )
    verified(source, report, prepared(past, wanted, ""))


def _record(source: SourceOptions, name: str) -> str:
    from egops.cli.bundle import everything
    from egops.gather import gather
    from egops.gather.bundle import pack
    from egops.gather.progress import progress_on
    from egops.upgrade.releases import dotted
    from egops.upgrade.select import installed

    with progress_on(sys.stderr) as progress:
        snapshot = gather(source, everything(), progress)
    found = installed(snapshot)
    release = dotted(found.version) if found else "unknown"
    file = name or f"before-{release}-{snapshot.taken_at:%Y%m%d-%H%M%S}.zip"
    pack(snapshot, file)
    return file


def left(past: Snapshot, source: SourceOptions, target: tuple[int, ...]) -> list[Problem]:
    """Return what does not run the target release yet.

    Raises:
        EgopsError: the cluster can't be asked just now.
    """
    from dataclasses import replace

    from egops.finding import Problem
    from egops.gather import Wanted, gather
    from egops.rules.upgrade.release_not_reached import release_not_reached as rule
    from egops.snapshot import Upgrade

    wanted = Wanted(frozenset((*rule.reads, *rule.optional)))
    now = gather(source, wanted)
    if unread := [reason for kind, reason in now.unread.items() if kind in rule.reads]:
        raise EgopsError(unread[0])
    now = replace(now, before=past, upgrade=Upgrade(target, target))
    return [said for said in rule.check(now) if isinstance(said, Problem)]


def wait(
    look: Callable[[], list[Problem]],
    limit: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once nothing is left behind and has not been for a while.

    Errors of single looks are told and waited out: an upgrade may restart the API's own parts.
    Proxies whose image differs from what the release ships may be pinned: they are waited for, but
    not for ever.

    Raises:
        TimeoutReached: `limit` seconds have passed.
    """
    from egops.finding import Severity

    end, since, told = clock() + limit, None, ""
    while True:
        try:
            found = look()
        except EgopsError as exc:
            found, text, blind = [], exc.message, True
        else:
            text = found[0].message if found else "all is there; waiting for it to settle"
            blind = False
        if text != told:
            click.echo(f"  {text}", err=True)
            told = text
        hard = blind or any(each.severity in (None, Severity.ERROR) for each in found)
        since = None if hard else clock() if since is None else since
        if since is not None and clock() - since >= (PATIENCE if found else SETTLE):
            return
        if clock() >= end:
            raise TimeoutReached(f"after {limit:g} s still: {told}")
        sleep(POLL)
