"""What `dashboards` and `alerts` share: options, plans on the screen, a Prometheus to ask."""

from __future__ import annotations

import sys
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import CONNECTION, DURATION, PROMETHEUS_CREDENTIALS
from egops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egops.gather import SourceOptions
    from egops.monitoring.prometheus import Prometheus
    from egops.monitoring.questions import Question
    from egops.monitoring.targets import Content, Target, What
    from egops.monitoring.targets.choice import TargetOptions
    from egops.monitoring.verify import Verified
    from egops.plan import Plan

_CLUSTER = (
    *CONNECTION,
    click.option(
        "--request-timeout",
        type=DURATION,
        default="30s",
        show_default=True,
        help="Limit for each request.",
    ),
)
_PROMETHEUS = (
    click.option(
        "--prometheus",
        metavar="URL",
        default="",
        help="The Prometheus to ask; without it one of the cluster is found and reached through "
        "the API server.",
    ),
    *PROMETHEUS_CREDENTIALS,
    click.option(
        "--prometheus-tenant", metavar="ID", default="", help="Sent as X-Scope-OrgID (Mimir)."
    ),
)
_TARGET = (
    click.option("--dir", "folder", metavar="DIR", default="", help="With files: the folder."),
    click.option("--url", metavar="URL", default="", help="Address of Grafana or the ruler."),
    click.option("--token", metavar="TOKEN", default="", help="Its bearer token."),
    click.option("--user", metavar="USER:PASSWORD", default="", help="Or basic authentication."),
    click.option("--tenant", metavar="ID", default="", help="Sent as X-Scope-OrgID."),
    click.option(
        "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Any other header."
    ),
    click.option("--ca", metavar="FILE", default="", help="The CA of its certificate."),
    click.option("--insecure", is_flag=True, help="Do not check its certificate."),
    click.option(
        "--target-namespace",
        "namespace",
        metavar="NAME",
        default="",
        help="Where objects go; without it, where their reader is.",
    ),
)
_FOR_BOARDS = (
    click.option(
        "--label", metavar="KEY=VALUE", default="", help="What the sidecar or Grafana selects by."
    ),
    click.option("--folder-uid", metavar="UID", default="", help="With grafana: its folder."),
)
_FOR_ALERTS = (
    click.option(
        "--evaluator",
        metavar="[NS/]NAME",
        default="",
        help="The Prometheus or VMAlert object, if there are several.",
    ),
    click.option(
        "--ruler-prefix",
        metavar="PATH",
        default="/prometheus",
        show_default=True,
        help="With mimir: the path of its Prometheus API.",
    ),
    click.option(
        "--datasource-uid", metavar="UID", default="", help="With grafana-alerts: what to query."
    ),
    click.option("--folder-uid", metavar="UID", default="", help="Likewise: its folder."),
)
_VALUES = (
    click.option(
        "--values", "value_files", multiple=True, metavar="FILE", help="A YAML file of values."
    ),
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        help="A value, such as slo.availability=99.95 or runbooks.base=URL.",
    ),
)
_CLUSTER_NAMES = ("kubeconfig", "context", "as_user", "as_groups", "request_timeout")
_PROMETHEUS_NAMES = (
    "prometheus", "prometheus_token", "prometheus_user", "prometheus_ca", "prometheus_headers",
)  # fmt: skip
_TARGET_NAMES = (
    "to", "folder", "url", "token", "user", "tenant", "headers", "ca", "insecure", "namespace",
    "label", "evaluator", "folder_uid", "datasource_uid", "ruler_prefix",
)  # fmt: skip


def _give(function: Callable[..., Any], options: Sequence[Any]) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


def _source(given: dict[str, Any]) -> SourceOptions:
    """Take the options of a source out of what click gives and return them as one."""
    from egops.gather import SourceOptions

    tenant = given.pop("prometheus_tenant", "")
    names = (*_CLUSTER_NAMES, *_PROMETHEUS_NAMES)
    chosen = {name: given.pop(name) for name in names if name in given}
    if tenant:
        chosen["prometheus_headers"] = (*chosen["prometheus_headers"], f"X-Scope-OrgID: {tenant}")
    return SourceOptions(**chosen)


def asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which Prometheus to ask, as `source`."""

    def collect(*args: Any, **kwargs: Any) -> Any:
        source = _source(kwargs)
        return function(*args, source=source, **kwargs)

    made: Callable[..., Any] = _give(update_wrapper(collect, function), (*_PROMETHEUS, *_CLUSTER))
    return made


def valued(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--values` and `--set`, as `values`."""

    def collect(*args: Any, **kwargs: Any) -> Any:
        from egops.monitoring.value_files import read_values

        files, sets = kwargs.pop("value_files"), kwargs.pop("sets")
        return function(*args, values=read_values(files, sets), **kwargs)

    made: Callable[..., Any] = _give(update_wrapper(collect, function), _VALUES)
    return made


def targeting(what: What) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options that say where to install, as `target`."""
    from egops.monitoring.targets.names import TARGETS

    where = click.option(
        "--to",
        type=click.Choice(TARGETS[what]),
        default="auto",
        show_default=True,
        help="Where to; auto finds out what the cluster has.",
    )
    special = _FOR_BOARDS if what == "dashboards" else _FOR_ALERTS
    options = (where, *_TARGET, *special, *_CLUSTER, *(_PROMETHEUS if what == "alerts" else ()))

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def collect(*args: Any, **kwargs: Any) -> Any:
            from egops.monitoring.targets.choice import TargetOptions

            source = _source(kwargs)
            chosen = {name: kwargs.pop(name) for name in _TARGET_NAMES if name in kwargs}
            return function(*args, target=TargetOptions(source=source, **chosen), **kwargs)

        made: Callable[..., Any] = _give(update_wrapper(collect, function), options)
        return made

    return decorate


def writing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of one that writes."""
    made: Callable[..., Any] = _give(
        function,
        (
            click.option("--dry-run", is_flag=True, help="Ask the server, but write nothing."),
            click.option(
                "--overwrite", is_flag=True, help="Replace what somebody else made or edited."
            ),
            click.option(
                "-y",
                "--yes",
                is_flag=True,
                help="With auto: do it, not only show it.",
            ),
        ),
    )
    return made


def show_plan(plan: Plan, output: str, *, diff: bool = False) -> None:
    """Print a plan as text or JSON."""
    from egops.monitoring.words import plan_data, plan_lines

    if output == "json":
        print_json(plan_data(plan))
    else:
        click.echo("\n".join(plan_lines(plan, diff=diff)))


def print_json(thing: Any) -> None:
    """Print plain data as JSON with a version, as every command does."""
    import json

    click.echo(json.dumps({"version": 1, "result": thing}, indent=2, ensure_ascii=False))


def run_install(
    content: Content, options: TargetOptions, *, dry_run: bool, overwrite: bool, yes: bool
) -> bool:
    """Plan and carry out an installation, telling each step; return whether it was carried out."""
    from egops.monitoring.targets.choice import choose

    target = choose(content.what, options)
    plan = target.plan(content, overwrite=overwrite)
    return run_plan(target, plan, options, dry_run=dry_run, overwrite=overwrite, yes=yes)


def run_plan(
    target: Target,
    plan: Plan,
    options: TargetOptions,
    *,
    dry_run: bool,
    overwrite: bool,
    yes: bool,
) -> bool:
    """Carry out a plan, telling each step; return whether it was carried out."""
    from egops.monitoring.install import carry_out
    from egops.monitoring.words import change_line

    show_plan(plan, "text")
    if options.to == "auto" and plan.pending and not (yes or dry_run):
        click.echo("nothing was done yet: say --yes, or name the target with --to", err=True)
        return False
    word = "would be done (server dry-run):" if dry_run else "done:"
    for change in carry_out(target, plan, overwrite=overwrite, dry_run=dry_run):
        click.echo(f"{word} {change_line(change)}")
    return not dry_run


def run_diff(content: Content, options: TargetOptions, output: str) -> None:
    """Print how what is there differs from ours; exit with 1 if it does."""
    from egops.monitoring.targets.choice import choose

    plan = choose(content.what, options).plan(content, overwrite=False)
    show_plan(plan, output, diff=True)
    differs = bool(plan.pending or plan.refused)
    raise click.exceptions.Exit(int(ExitCode.FINDINGS if differs else ExitCode.OK))


def run_uninstall(what: What, options: TargetOptions, *, dry_run: bool, yes: bool) -> None:
    """Remove what is ours, telling each step."""
    from egops.monitoring.targets.choice import choose

    target = choose(what, options)
    plan = target.removal(what)
    run_plan(target, plan, options, dry_run=dry_run, overwrite=False, yes=yes)


def run_verify(
    questions: Sequence[Question],
    source: SourceOptions,
    *,
    release: str,
    output: str,
    verbose: bool,
) -> None:
    """Ask every query, print the verdicts, exit with 1 if something is blind or refused."""
    from egops.monitoring.facts import facts
    from egops.monitoring.prometheus import connect_prometheus
    from egops.monitoring.verify import Verdict, Verifier
    from egops.monitoring.words import verified_data, verified_lines

    prometheus = connect_prometheus(source)
    known, notes = facts(prometheus, source, release)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    verifier = Verifier(prometheus, known)
    verified: list[Verified] = list(_with_progress(verifier.verify(questions), len(questions)))
    if output == "json":
        print_json(verified_data(verified))
    else:
        click.echo("\n".join(verified_lines(verified, verbose=verbose)))
    bad = any(one.verdict in {Verdict.BLIND, Verdict.ERROR} for one in verified)
    raise click.exceptions.Exit(int(ExitCode.FINDINGS if bad else ExitCode.OK))


def _with_progress(verified: Iterable[Verified], total: int) -> Iterable[Verified]:
    """Yield the verdicts and say on a terminal how far it is."""
    shown = sys.stderr.isatty()
    for number, one in enumerate(verified, 1):
        if shown:
            click.echo(f"\rasked {number} of {total} queries", nl=number == total, err=True)
        yield one


def connected(source: SourceOptions) -> Prometheus:
    """Return the Prometheus of the options."""
    from egops.monitoring.prometheus import connect_prometheus

    return connect_prometheus(source)
