"""Commands that find things: gather, judge, render, exit. What they share is here, once."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import output_option, severity_option
from egops.errors import EgopsError, InputError
from egops.telemetry import span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egops.finding import Finding, Report, Severity
    from egops.gather import SourceOptions
    from egops.render import Terminal
    from egops.rules import Rule
    from egops.snapshot import Kind, Ref, Snapshot

_NAMES = (
    "output", "only", "skip", "min_severity", "fail_on", "baseline", "config", "verbose",
    "targets",
)  # fmt: skip


@dataclass(frozen=True)
class ReportOptions:
    """What the user wants to be told, and how."""

    output: str = "text"
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    min_severity: str = "info"
    fail_on: str = "error"
    baseline: str = ""
    config: str = ""
    verbose: bool = False
    targets: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def report_options(
    function: Callable[..., Any], more_formats: tuple[str, ...] = ()
) -> Callable[..., Any]:
    """Give a command all options of a report, as one parameter `options`."""
    from functools import update_wrapper

    def collect(*args: Any, **kwargs: Any) -> Any:
        chosen = {name: kwargs.pop(name) for name in _NAMES if name in kwargs}
        return function(*args, options=ReportOptions(**chosen), **kwargs)

    decorated: Callable[..., Any] = update_wrapper(collect, function)
    for option in reversed(
        (
            output_option("text", "json", "yaml", "name", *more_formats),
            click.option(
                "--only",
                multiple=True,
                metavar="RULE",
                help="Only these rules: codes, names, areas or globs; commas separate several.",
            ),
            click.option("--skip", multiple=True, metavar="RULE", help="All rules but these."),
            severity_option("--min-severity", "info", "Show nothing milder."),
            severity_option("--fail-on", "error", "Exit with 1 for findings at or above this."),
            click.option(
                "--baseline",
                metavar="FILE",
                help="A report in JSON: its findings are known and don't fail again.",
                default="",
            ),
            click.option(
                "--config",
                metavar="FILE",
                help="Configuration instead of ./egops.toml.",
                default="",
            ),
            click.option(
                "-v", "--verbose", is_flag=True, help="Show evidence, passed checks and skips."
            ),
        )
    ):
        decorated = option(decorated)
    return decorated


@dataclass(frozen=True)
class Steps:
    """What a command does differently: the snapshot before it is judged, and how it is shown."""

    also: tuple[Kind, ...] = ()  # kinds to gather that no rule reads
    prepare: Callable[[Snapshot], Snapshot] | None = None
    present: Callable[[Report, Snapshot, ReportOptions, Terminal], str] | None = None


def judge(
    command: str,
    rules: Sequence[Rule],
    source: SourceOptions,
    options: ReportOptions,
    steps: Steps | None = None,
) -> None:
    """Gather what the rules read, run them, print the report and exit with its code."""
    began = time.monotonic()
    steps = steps or Steps()
    try:
        report, fail_on, snapshot = _judge(command, rules, source, options, steps)
    except EgopsError as exc:
        if options.output == "json":
            from egops import __version__
            from egops.render.json import render_failure

            click.echo(render_failure(command, exc, __version__), nl=False)
        raise
    with span("render", format=options.output):
        elapsed = time.monotonic() - began
        if steps.present is None:
            show(report, options, elapsed)
        else:
            screen = terminal(verbose=options.verbose, elapsed=elapsed)
            click.echo(steps.present(report, snapshot, options, screen), nl=False, color=True)
    raise click.exceptions.Exit(int(report.exit_code(fail_on)))


def _judge(
    command: str,
    rules: Sequence[Rule],
    source: SourceOptions,
    options: ReportOptions,
    steps: Steps,
) -> tuple[Report, Severity | None, Snapshot]:
    from egops import config as configuration
    from egops.engine import Options, run
    from egops.finding import Severity
    from egops.gather import Wanted, gather
    from egops.gather.progress import progress_on

    config = configuration.load(options.config)
    chosen = configuration.choose(rules, options.only or config.only, (*options.skip, *config.skip))
    baseline = read_baseline(options.baseline) if options.baseline else frozenset()
    kind = "cluster" if source.is_cluster else "given"
    with span("gather", source=kind), progress_on(sys.stderr) as progress:
        wanted = Wanted.by(chosen)
        wanted = replace(wanted, kinds=wanted.kinds | set(steps.also))
        snapshot = gather(source, wanted, progress)
    if steps.prepare is not None:
        snapshot = steps.prepare(snapshot)
    asked = Options(
        command=command,
        min_severity=Severity[options.min_severity.upper()],
        suppress=configuration.suppressor(config, snapshot),
        baseline=baseline,
        timed_out=snapshot.timed_out,
    )
    with span("judge", rules=len(chosen)):
        report = run(chosen, snapshot, asked)
    if options.targets:
        report = about(report, matches(options.targets))
    if source.namespace:
        report = about(report, lambda ref: ref.namespace in ("", source.namespace))
    explicit = click.get_current_context().get_parameter_source("fail_on")
    word = options.fail_on
    if config.fail_on and explicit is click.core.ParameterSource.DEFAULT:
        word = config.fail_on
    return report, None if word == "never" else Severity[word.upper()], snapshot


def matches(targets: tuple[str, ...]) -> Callable[[Ref], bool]:
    """Return whether an object is named: `Gateway/edge/public`, any case, globs allowed."""
    from fnmatch import fnmatchcase

    from egops.config import path_of

    patterns = [target.lower() for target in targets]
    return lambda ref: any(fnmatchcase(path_of(ref).lower(), pattern) for pattern in patterns)


def about(report: Report, wanted: Callable[[Ref], bool]) -> Report:
    """Return the report with the findings about wanted objects alone.

    A finding is about an object if it points to it, is related to it, or explains one that is.
    """

    def concerns(finding: Finding) -> bool:
        refs = [finding.at.ref, *(other.ref for other in finding.problem.related)]
        return any(wanted(ref) for ref in refs)

    kept = tuple(
        finding
        for finding in report.findings
        if concerns(finding) or any(map(concerns, report.explained.get(finding.fingerprint, ())))
    )
    roots = {finding.fingerprint for finding in kept}
    return replace(
        report,
        findings=kept,
        folded=tuple(fold for fold in report.folded if fold.root.fingerprint in roots),
        suppressed=tuple(entry for entry in report.suppressed if concerns(entry.finding)),
    )


def read_baseline(path: str) -> frozenset[str]:
    """Return the fingerprints of the findings in a JSON report.

    Raises:
        InputError: the file can't be read, or is no report.
    """
    from pathlib import Path

    import orjson

    try:
        document = orjson.loads(Path(path).read_bytes())
        found = [
            entry["fingerprint"]
            for key in ("findings", "folded", "suppressed")
            for entry in document.get(key, [])
        ]
    except OSError as exc:
        raise InputError(f"cannot read the baseline {path}: {exc.strerror}") from None
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        raise InputError(
            f"the baseline {path} is no JSON report", hint="write one with: egops doctor -o json"
        ) from None
    return frozenset(found)


def show(report: Report, options: ReportOptions, elapsed: float) -> None:
    """Print the report on stdout."""
    from egops.render import renderer

    click.echo(
        renderer(options.output)(report, terminal(verbose=options.verbose, elapsed=elapsed)),
        nl=False,
        color=True,
    )


def terminal(*, verbose: bool = False, elapsed: float | None = None) -> Terminal:
    """Return what stdout can show: the one place that asks for a tty and the locale."""
    import os
    import shutil

    from egops.render import Terminal

    tty = sys.stdout.isatty()
    color = tty and os.environ.get("TERM") != "dumb"
    if os.environ.get("FORCE_COLOR"):
        color = True
    if os.environ.get("NO_COLOR"):
        color = False
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    width = shutil.get_terminal_size().columns if tty else None
    return Terminal(width, color, encoding.startswith("utf"), verbose, elapsed)
