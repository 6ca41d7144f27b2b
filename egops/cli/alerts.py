"""`egops alerts`: alert rules, from the list to what fires now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from egops.cli.monitoring import (
    asking,
    connected,
    print_json,
    run_diff,
    run_install,
    run_uninstall,
    run_verify,
    targeting,
    valued,
    writing,
)
from egops.cli.options import DURATION, output_option
from egops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.gather import SourceOptions
    from egops.monitoring.rules import Profile
    from egops.monitoring.targets.choice import TargetOptions
    from egops.monitoring.values import Values


def adjusting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--profile`, `--values` and `--set`, as `profile` and `values`."""
    profile = click.option(
        "--profile",
        type=click.Choice(["default", "full"]),
        default="default",
        show_default=True,
        help="How many alerts.",
    )
    made: Callable[..., Any] = profile(valued(function))
    return made


@click.group()
def alerts() -> None:
    """Alert rules for Envoy Gateway: list, render, test, install, verify.

    \b
    egops alerts install                              find out where, show the plan
    egops alerts render --profile full --set slo.availability=99.95
    egops alerts list --state                         what fires now, and what doctor says of it
    egops alerts test                                 promtool over rules and unit tests
    """


@alerts.command("list")
@adjusting
@asking
@click.option("--state", is_flag=True, help="Ask Prometheus what fires, and doctor why.")
@click.option("--show-values", is_flag=True, help="List the values that can be set instead.")
@output_option("table", "json")
def list_(
    profile: Profile,
    values: Values,
    source: SourceOptions,
    state: bool,
    show_values: bool,
    output: str,
) -> None:
    """List the alerts of a profile, with their state if asked.

    \b
    egops alerts list --profile full
    egops alerts list --state --prometheus http://127.0.0.1:9090
    """
    from egops.monitoring import listing
    from egops.monitoring.rules import selected

    if show_values:
        rows = listing.value_rows(values)
        print_json(rows) if output == "json" else click.echo(listing.value_table(rows))
        return
    chosen = selected(values, profile=profile)
    if not state:
        rows = listing.alert_rows(chosen, values)
        print_json(rows) if output == "json" else click.echo(listing.alert_table(rows))
        return
    states = listing.states(chosen, connected(source), source)
    print_json(states) if output == "json" else click.echo(listing.state_table(states))
    firing = any(one["state"] == "firing" for one in states)
    raise click.exceptions.Exit(int(ExitCode.FINDINGS if firing else ExitCode.OK))


@alerts.command()
@adjusting
@click.option(
    "--as-objects",
    "objects",
    type=click.Choice(["prometheus-operator", "victoria-metrics"]),
    default=None,
    help="Print a Kubernetes object for GitOps instead of a rule file.",
)
@click.option("--target-namespace", default="monitoring", show_default=True, help="Its namespace.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Labels of the object.")
def render(
    profile: Profile,
    values: Values,
    objects: str | None,
    target_namespace: str,
    labels: tuple[str, ...],
) -> None:
    """Print the rules as a Prometheus rule file, or as a Kubernetes object.

    \b
    egops alerts render --set slo.availability=99.95 > envoy-gateway.yaml
    egops alerts render --as-objects prometheus-operator
    """
    from egops.monitoring.render import rule_object, rule_text

    if objects:
        click.echo(rule_object(values, profile, objects, target_namespace, labels), nl=False)
    else:
        click.echo(rule_text(values, profile), nl=False)


@alerts.command()
@adjusting
@targeting("alerts")
@writing
@click.option(
    "--wait",
    type=DURATION,
    default=60.0,
    show_default="60s",
    help="How long Prometheus may take to load the rules; 0 asks nothing.",
)
def install(  # noqa: PLR0917 - click gives options by name
    profile: Profile,
    values: Values,
    target: TargetOptions,
    dry_run: bool,
    overwrite: bool,
    yes: bool,
    wait: float,
) -> None:
    """Install the rules, then ask Prometheus whether it has loaded them.

    \b
    egops alerts install --dry-run
    egops alerts install --to prometheus-operator --profile full
    """
    from egops.monitoring.install import alerts_content

    content = alerts_content(values, profile)
    done = run_install(content, target, dry_run=dry_run, overwrite=overwrite, yes=yes)
    if done and wait and target.to in {"auto", "prometheus-operator"}:
        _confirm([str(group["name"]) for group in content.groups], target.source, wait)


def _confirm(groups: list[str], source: SourceOptions, wait: float) -> None:
    """Say whether Prometheus has loaded the groups; exit with 3 if it has not."""
    from egops.errors import EgopsError
    from egops.monitoring.install import confirmed

    try:
        prometheus = connected(source)
        missing = confirmed(prometheus, groups, seconds=wait)
    except EgopsError as exc:
        click.echo(f"note: not confirmed, Prometheus was not asked: {exc.message}", err=True)
        return
    if missing is None:
        click.echo(f"note: not confirmed, {prometheus.name} has no rules API", err=True)
    elif missing:
        raise EgopsError(
            f"{prometheus.name} has not loaded {', '.join(missing)} within {wait:g} s",
            hint="does it select this object? `egops alerts diff` shows what it selects by",
        )
    else:
        click.echo(f"confirmed: {prometheus.name} has loaded {len(groups)} groups")


@alerts.command()
@adjusting
@targeting("alerts")
@output_option("text", "json")
def diff(profile: Profile, values: Values, target: TargetOptions, output: str) -> None:
    """Show how installed rules differ from ours; exit with 1 if they do.

    \b
    egops alerts diff --to prometheus-operator
    """
    from egops.monitoring.install import alerts_content

    run_diff(alerts_content(values, profile), target, output)


@alerts.command()
@targeting("alerts")
@click.option("--dry-run", is_flag=True, help="Remove nothing.")
@click.option("-y", "--yes", is_flag=True, help="With auto: do it.")
def uninstall(target: TargetOptions, dry_run: bool, yes: bool) -> None:
    """Remove the rules that egops installed, and nothing else.

    \b
    egops alerts uninstall --to prometheus-operator --dry-run
    """
    run_uninstall("alerts", target, dry_run=dry_run, yes=yes)


@alerts.command()
@adjusting
@asking
@click.option("--eg-version", default="", metavar="X.Y", help="The running Envoy Gateway.")
@output_option("text", "json")
@click.option("-v", "--verbose", is_flag=True, help="List queries with data too.")
def verify(
    profile: Profile,
    values: Values,
    source: SourceOptions,
    eg_version: str,
    output: str,
    verbose: bool,
) -> None:
    """Ask every expression; say which alerts can see, and why the others cannot.

    \b
    egops alerts verify --prometheus http://127.0.0.1:9090
    """
    from egops.monitoring.questions import rule_questions
    from egops.monitoring.rules import rule_groups

    questions = list(rule_questions(rule_groups(values, profile=profile)))
    run_verify(questions, source, release=eg_version, output=output, verbose=verbose)


@alerts.command("test")
@adjusting
@click.option("--promtool", default="promtool", metavar="FILE", help="Where promtool is.")
def test(profile: Profile, values: Values, promtool: str) -> None:
    """Run promtool: check the rules as rendered, then the unit tests of every alert.

    \b
    egops alerts test --profile full
    """
    from egops.monitoring.promtool import run_promtool

    failed = 0
    for name, said in run_promtool(values, profile, promtool):
        failed += bool(said)
        click.echo(f"{'FAILED' if said else 'ok':<7}{name}")
        if said:
            click.echo(said)
    raise click.exceptions.Exit(int(ExitCode.FINDINGS if failed else ExitCode.OK))


@alerts.command()
@click.argument("name", metavar="[ALERT]", default="")
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    default="",
    help="Write all pages there instead, for a web server or a wiki; see runbooks.base.",
)
def runbook(name: str, folder: str) -> None:
    """Print the runbook of an alert; without a name, list them.

    \b
    egops alerts runbook EnvoyProxyDisconnected
    egops alerts runbook --dir public/runbooks
    """
    from egops.monitoring import shipped

    if folder:
        from egops.monitoring.render import write_runbooks

        click.echo(f"wrote {write_runbooks(folder)} pages to {folder}", err=True)
    elif name:
        click.echo(shipped.runbook(name), nl=False)
    else:
        click.echo("\n".join(shipped.runbooks()))
