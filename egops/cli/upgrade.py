"""`egops upgrade`: after an upgrade, what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from egops.cli.options import source_options
from egops.cli.report import report_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.cli.report import ReportOptions
    from egops.finding import Report
    from egops.gather import SourceOptions
    from egops.render import Terminal
    from egops.snapshot import Snapshot


@click.group()
def upgrade() -> None:
    """Verify an upgrade: what it changed, and what was predicted; `upgrade-check` comes before."""


@upgrade.command()
@click.option(
    "--snapshot",
    "saved",
    metavar="BEFORE.zip",
    required=True,
    help="What was there before: the file that `egops bundle` wrote.",
)
@click.option(
    "--to",
    "target",
    metavar="RELEASE",
    default="",
    help="The release that was the target, if another one than runs now.",
)
@click.option(
    "--predicted",
    metavar="FILE",
    default="",
    help="A report of `egops upgrade-check -o json`; judged anew from BEFORE.zip if not given.",
)
@report_options
@source_options
def verify(
    source: SourceOptions, options: ReportOptions, saved: str, target: str, predicted: str
) -> None:
    """Compare what was there before an upgrade with now: what was lost, and what was predicted.

    Tells of objects that lost a condition or are gone, requests that get another answer, proxies
    that were left behind, refused updates, new response flags and restarts; then of each prediction
    of `egops upgrade-check` whether it came true. Exit 1 if something was lost.

    \b
    egops bundle before.zip                        before the upgrade
    egops upgrade verify --snapshot before.zip     after it
    egops upgrade verify --snapshot before.zip -f after.zip -o json
    """
    verified(source, options, prepared(load(saved), target, predicted))


def load(saved: str) -> Snapshot:
    """Return the snapshot that was saved before.

    Raises:
        InputError: the file is no bundle.
    """
    from egops.errors import InputError
    from egops.gather import SourceOptions, Wanted, gather, is_bundle

    if not is_bundle(saved):
        raise InputError(
            f"{saved} is no bundle", hint="save one before the upgrade: egops bundle before.zip"
        )
    return gather(SourceOptions(files=(saved,)), Wanted())


def verified(
    source: SourceOptions, options: ReportOptions, prepare: Callable[[Snapshot], Snapshot]
) -> None:
    """Gather what is there now, compare, print and exit."""
    from egops.cli.report import Steps, judge
    from egops.rules.registry import aftermath_rules

    steps = Steps(prepare=prepare, present=_present)
    judge("upgrade verify", aftermath_rules(), source, options, steps)


def prepared(past: Snapshot, target: str, predicted: str) -> Callable[[Snapshot], Snapshot]:
    """Return what joins the snapshot of now with the one of before and its predictions."""
    from dataclasses import replace

    saved = _read(predicted) if predicted else None

    def prepare(snapshot: Snapshot) -> Snapshot:
        from egops.snapshot import Upgrade
        from egops.upgrade.releases import named
        from egops.upgrade.select import installed

        was, now = installed(past), installed(snapshot)
        wanted = named(target, was.version if was else None) if target else None
        end = wanted or (now.version if now else None)
        step = Upgrade(was.version, end) if was and end else None
        findings = saved if saved is not None else predict(past, step)
        notes = [*snapshot.notes]
        if was and now and was.version == now.version:
            notes.append("the release is the same before and now: nothing was upgraded yet")
        if findings is None:
            notes.append("no prediction: the releases before and now are not both known")
        # what has just changed is what is asked about: nothing is too young to be told
        return replace(
            snapshot,
            strict=True,
            before=past,
            upgrade=step,
            predicted=findings,
            notes=tuple(notes),
        )

    return prepare


def predict(past: Snapshot, step: object) -> tuple[object, ...] | None:
    """Return what the upgrade rules say of a step, from the state before it; None if unknown."""
    from dataclasses import replace

    from egops.engine import Options, run
    from egops.rules.registry import upgrade_rules
    from egops.snapshot import Upgrade
    from egops.upgrade.select import rules_of

    if not isinstance(step, Upgrade) or step.from_version >= step.to_version:
        return None
    rules = rules_of(upgrade_rules(), step)
    report = run(rules, replace(past, upgrade=step), Options(command="upgrade-check"))
    return (*report.findings, *(fold.finding for fold in report.folded))


def _read(file: str) -> tuple[object, ...]:
    import orjson

    from egops.cli.routes.inputs import read_bytes
    from egops.errors import InputError
    from egops.upgrade.saved import findings_of

    try:
        return findings_of(orjson.loads(read_bytes(file)))
    except orjson.JSONDecodeError as exc:
        raise InputError(f"{file} is no JSON: {exc}") from None
    except InputError as exc:
        raise InputError(f"{file}: {exc.message}", hint=exc.hint) from None


def _present(report: Report, snapshot: Snapshot, options: ReportOptions, screen: Terminal) -> str:
    from egops.render import renderer
    from egops.render.upgraded import predictions_text, with_comparison
    from egops.upgrade.outcomes import outcomes

    text = renderer(options.output)(report, screen)
    if options.output not in ("text", "json"):
        return text
    observed = (*report.findings, *(fold.finding for fold in report.folded))
    found = outcomes(snapshot, observed) if snapshot.predicted is not None else None
    if options.output == "json":
        return with_comparison(text, found, None)
    return text + (predictions_text(found, screen) if found is not None else "")
