"""`egops upgrade-check`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from egops.cli.options import output_option, severity_option, source_options
from egops.cli.upgrade_blast import States, state_options
from egops.cli.upgrade_watch import watch_options

if TYPE_CHECKING:
    from egops.config import Config
    from egops.engine import Options as EngineOptions
    from egops.finding import Report
    from egops.gather import SourceOptions, Wanted
    from egops.rules import Rule
    from egops.snapshot import Snapshot, Upgrade
    from egops.upgrade.outcomes import Blast
    from egops.upgrade.plan import Step


class _Chosen:
    """The options of a run, named."""

    def __init__(self, options: dict[str, object]) -> None:
        from egops.finding import Severity

        self.output, self.config = str(options["output"]), str(options["config"])
        self.baseline, self.fixes = str(options["baseline"]), str(options["fixes"])
        self.only: tuple[str, ...] = tuple(options["only"])  # type: ignore[arg-type]
        self.skip: tuple[str, ...] = tuple(options["skip"])  # type: ignore[arg-type]
        self.verbose, self.fix = bool(options["verbose"]), bool(options["fix"])
        self.yes = bool(options["yes"])
        self.states = States(
            *(str(options[name]) for name in ("before", "after", "egctl_from", "egctl_to"))
        )
        self.min_severity = Severity[str(options["min_severity"]).upper()]
        word = str(options["fail_on"])
        self.fail_on = None if word == "never" else Severity[word.upper()]


@click.command(name="upgrade-check")
@click.option(
    "--to",
    "target",
    metavar="RELEASE",
    default="next",
    show_default=True,
    help="The release to go to: 1.3.3, 1.3 (its newest patch), next, latest.",
)
@click.option(
    "--from",
    "start",
    metavar="RELEASE",
    default="",
    help="The installed release, where the objects do not tell.",
)
@click.option("--explain", metavar="RULE", default="", help="Explain one rule and leave.")
@click.option("--list", "listing", is_flag=True, help="List the rules of the step and leave.")
@click.option("--only", multiple=True, metavar="RULE", help="Only these rules: codes or names.")
@click.option("--skip", multiple=True, metavar="RULE", help="All rules but these.")
@click.option(
    "--write-fixes",
    "fixes",
    metavar="DIR",
    default="",
    help="Write the patches that keep the old behaviour, with a kustomization.yaml.",
)
@click.option("--fix", is_flag=True, help="Edit the manifests in place; the diff is shown first.")
@click.option("--yes", is_flag=True, help="Don't ask before --fix edits.")
@state_options
@watch_options
@output_option("text", "json", "yaml", "markdown", "name")
@severity_option("--min-severity", "info", "Show nothing milder.")
@severity_option("--fail-on", "error", "Exit with 1 for findings at or above this.")
@click.option("--baseline", metavar="FILE", default="", help="A report: its findings are known.")
@click.option("--config", metavar="FILE", default="", help="Configuration instead of egops.toml.")
@click.option("-v", "--verbose", is_flag=True, help="Show evidence, passed checks and skips.")
@source_options
def upgrade_check(source: SourceOptions, target: str, start: str, **options: object) -> None:
    """Tell what the next Envoy Gateway changes for these objects, and plan the upgrade.

    \b
    egops upgrade-check --to 1.3.3                    the cluster of the current context
    egops upgrade-check -f manifests/ --from 1.2.8 --to 1.3.3
    kustomize build | egops upgrade-check -f - --from 1.2.8
    egops upgrade-check --to latest -o markdown       a change request
    egops upgrade-check --before old.json --after new.json -f manifests/   the blast radius
    egops upgrade-check --to 1.3.3 --watch-after      record, wait for the upgrade, verify it
    """  # fmt: skip
    chosen = _Chosen(options)
    if options["explain"]:
        click.echo(_page(str(options["explain"])), nl=False)
        return
    if options["listing"]:
        click.echo(_catalogue(start, target, chosen), nl=False)
        return
    if options["watch_after"]:
        from egops.cli.upgrade_watch import watch

        watch(source, target, options, lambda saved: _run(saved, start, target, chosen))
        return
    report = _run(source, start, target, chosen)
    raise click.exceptions.Exit(int(report.exit_code(chosen.fail_on)))


def _run(source: SourceOptions, start: str, target: str, chosen: _Chosen) -> Report:
    """Check, print and fix; return the report."""
    began = time.monotonic()
    if chosen.states.are_given:
        report, steps, radius = _compare(source, start, target, chosen)
    else:
        report, steps = _check(source, start, target, chosen)
        radius = None
    _show(report, steps, chosen, time.monotonic() - began, radius)
    _fix(report, chosen)
    return report


def _page(word: str) -> str:
    from egops.config import choose
    from egops.errors import InputError
    from egops.render.catalogue import page
    from egops.rules.registry import aftermath_rules, upgrade_rules

    found = choose((*upgrade_rules(), *aftermath_rules()), (word,), ())
    if len(found) != 1:
        raise InputError(f"{word!r} names {len(found)} upgrade rules")
    return page(found[0])


def _catalogue(start: str, target: str, chosen: _Chosen) -> str:
    from egops.config import choose
    from egops.render.catalogue import catalogue
    from egops.rules.registry import upgrade_rules
    from egops.snapshot import Upgrade
    from egops.upgrade.releases import named
    from egops.upgrade.select import rules_of

    rules = choose(upgrade_rules(), chosen.only, chosen.skip)
    if start:
        installed = named(start)
        rules = rules_of(rules, Upgrade(installed, named(target, installed)))
    return catalogue(rules, chosen.output if chosen.output in ("text", "json", "name") else "text")


def _check(
    source: SourceOptions, start: str, target: str, chosen: _Chosen
) -> tuple[Report, tuple[Step, ...]]:
    import sys

    from egops import config as configuration
    from egops.gather import gather
    from egops.gather.progress import progress_on
    from egops.upgrade.plan import plan
    from egops.upgrade.releases import named
    from egops.upgrade.select import accept, step_of

    if start:
        named(target, named(start))  # tell of a bad release before anything is read
    config = configuration.load(chosen.config)
    rules, _ = _rules(chosen, config)
    with progress_on(sys.stderr) as progress:
        snapshot = gather(source, _wanted(rules), progress)
    snapshot = accept(snapshot)
    step, known_by = step_of(snapshot, start, target)
    report, snapshot = _judge(snapshot, step, known_by, rules, config, chosen)
    found = (*report.findings, *(fold.finding for fold in report.folded))
    return report, plan(snapshot, step, found)


def _rules(chosen: _Chosen, config: Config) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Return the upgrade rules to ask, and those that compare two states."""
    from egops import config as configuration
    from egops.cli.upgrade_blast import RULES
    from egops.rules.registry import aftermath_rules, upgrade_rules

    comparing = tuple(rule for rule in aftermath_rules() if rule.code in RULES)
    skip = (*chosen.skip, *config.skip)
    wanted = configuration.choose((*upgrade_rules(), *comparing), chosen.only or config.only, skip)
    return (
        tuple(rule for rule in wanted if rule not in comparing),
        tuple(rule for rule in wanted if rule in comparing),
    )


def _wanted(rules: tuple[Rule, ...]) -> Wanted:
    from dataclasses import replace

    from egops.gatewayapi import APPLICATION, CRD, HELM_RELEASE
    from egops.gather import Wanted

    wanted = Wanted.by(rules)
    return replace(wanted, kinds=wanted.kinds | {CRD, HELM_RELEASE, APPLICATION})


def _judge(
    snapshot: Snapshot,
    step: Upgrade,
    known_by: str,
    rules: tuple[Rule, ...],
    config: Config,
    chosen: _Chosen,
) -> tuple[Report, Snapshot]:
    """Return what the rules of a step say, and the snapshot that knows the step."""
    from dataclasses import replace

    from egops.engine import run
    from egops.rules.registry import upgrade_rules
    from egops.upgrade.releases import dotted
    from egops.upgrade.select import not_covered, rules_of

    missing = ", ".join(dotted(minor) for minor in not_covered(upgrade_rules(), step))
    gap = f"no rule knows how {missing} changes behaviour: only its CRDs are judged"
    notes = (*snapshot.notes, gap) if missing else snapshot.notes
    snapshot = replace(snapshot, upgrade=step, notes=notes)
    facts = {
        "from": dotted(step.from_version),
        "to": dotted(step.to_version),
        "fromSource": known_by,
    }
    asked = _asked(snapshot, config, chosen, facts)
    return run(rules_of(rules, step), snapshot, asked), snapshot


def _asked(
    snapshot: Snapshot, config: Config, chosen: _Chosen, facts: dict[str, str]
) -> EngineOptions:
    from egops import config as configuration
    from egops.cli.report import read_baseline
    from egops.engine import Options

    return Options(
        command="upgrade-check",
        min_severity=chosen.min_severity,
        suppress=configuration.suppressor(config, snapshot),
        baseline=read_baseline(chosen.baseline) if chosen.baseline else frozenset(),
        timed_out=snapshot.timed_out,
        facts=facts,
    )


def _compare(
    source: SourceOptions, start: str, target: str, chosen: _Chosen
) -> tuple[Report, tuple[Step, ...], Blast | None]:
    """Return what was predicted and what two states show, as one report with its radius."""
    from dataclasses import replace

    from egops import config as configuration
    from egops.cli.upgrade import predict
    from egops.cli.upgrade_blast import merged, read
    from egops.engine import run
    from egops.finding import CannotJudge
    from egops.upgrade.outcomes import blast
    from egops.upgrade.plan import plan
    from egops.upgrade.releases import dotted
    from egops.upgrade.select import is_ours, step_of

    config = configuration.load(chosen.config)
    rules, comparing = _rules(chosen, config)
    snapshot, releases = read(chosen.states, source, _wanted(rules))
    old, new = (dotted(release) if release else "" for release in releases)
    past, report = snapshot.before, None
    steps: tuple[Step, ...] = ()
    assert past is not None
    if is_ours(past) and (start or old):
        end = new if target == "next" and new and new != old else target
        step, known_by = step_of(past, start or old, end)
        report, past = _judge(past, step, known_by, rules, config, chosen)
        steps = plan(past, step, (*report.findings, *(fold.finding for fold in report.folded)))
        predicted = predict(past, step)
        snapshot = replace(snapshot, before=past, predicted=predicted, upgrade=step)
    said = run(comparing, snapshot, _asked(snapshot, config, chosen, {}))
    try:
        radius = blast(snapshot)
    except CannotJudge as exc:
        click.echo(f"note: no blast radius: {exc}", err=True)
        radius = None
    return merged(report, said) if report else said, steps, radius


def _show(
    report: Report, steps: tuple[Step, ...], chosen: _Chosen, elapsed: float, radius: Blast | None
) -> None:
    from egops.cli.report import terminal
    from egops.render import renderer
    from egops.render.upgrade import markdown, plan_text, with_plan
    from egops.render.upgraded import blast_text, with_comparison

    shape = terminal(verbose=chosen.verbose, elapsed=elapsed)
    if chosen.output == "markdown":
        told = f"```\n{blast_text(radius).strip()}\n```\n" if radius else ""
        click.echo(markdown(report, steps) + told, nl=False)
        return
    text = renderer(chosen.output)(report, shape)
    if chosen.output == "json":
        text = with_plan(text, steps)
        text = with_comparison(text, None, radius) if radius else text
    elif chosen.output == "text":
        text += blast_text(radius) if radius else ""
        text += plan_text(steps) if steps else ""
    click.echo(text, nl=False, color=True)


def _fix(report: Report, chosen: _Chosen) -> None:
    if chosen.fixes:
        from egops.apply_fixes import write_fixes

        for path in write_fixes(report.findings, chosen.fixes):
            click.echo(f"wrote {path}", err=True)
    if chosen.fix:
        from egops.apply_fixes import edits, write

        found = edits(report.findings)
        if not found:
            click.echo("nothing to edit: no finding has a patch for a file", err=True)
            return
        for edit in found:
            click.echo(edit.diff, err=True, nl=False)
        if chosen.yes or click.confirm("Edit these files?", err=True):
            write(found)
