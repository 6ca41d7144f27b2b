"""`egops dashboards`: Grafana boards, from the list to the picture in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from egops.gather import SourceOptions
    from egops.monitoring.targets.choice import TargetOptions
    from egops.monitoring.values import Values

_NAMES = click.argument("names", nargs=-1, metavar="[BOARD]...")


@click.group()
def dashboards() -> None:
    """Grafana boards for Envoy Gateway: list, render, install, verify, show.

    \b
    egops dashboards install                          find out where, show the plan
    egops dashboards install --to grafana --url https://grafana.example --token "$TOKEN"
    egops dashboards verify --prometheus URL          which panels have data, and why not
    egops dashboards show xds                         the key panels, in the terminal
    """


@dashboards.command("list")
@output_option("table", "json")
def list_(output: str) -> None:
    """List the boards with what they answer.

    \b
    egops dashboards list -o json
    """
    from egops.monitoring.shipped import boards

    rows = [
        {
            "name": name,
            "uid": board["uid"],
            "title": board["title"],
            "panels": sum(panel["type"] != "row" for panel in board["panels"]),
            "description": board["description"],
        }
        for name, board in boards().items()
    ]
    if output == "json":
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']:<14}{row['panels']:>3} panels  {row['description']}")


@dashboards.command()
@_NAMES
@valued
@click.option(
    "--as-objects",
    "objects",
    type=click.Choice(["sidecar", "grafana-operator"]),
    default=None,
    help="Print Kubernetes objects for GitOps instead of Grafana's JSON.",
)
@click.option(
    "--target-namespace", default="monitoring", show_default=True, help="Their namespace."
)
@click.option(
    "--label", default="grafana_dashboard=1", show_default=True, help="What selects them."
)
def render(
    names: tuple[str, ...], values: Values, objects: str | None, target_namespace: str, label: str
) -> None:
    """Print boards as JSON, one or several, or as Kubernetes objects.

    \b
    egops dashboards render control-plane > control-plane.json
    """
    from egops.monitoring.render import board_objects, board_text

    base = values.text("runbooks.base")
    if objects:
        click.echo(
            board_objects(names, objects, target_namespace, label, runbooks_at=base), nl=False
        )
    else:
        click.echo(board_text(names, runbooks_at=base))


@dashboards.command()
@_NAMES
@valued
@targeting("dashboards")
@writing
def install(
    names: tuple[str, ...],
    values: Values,
    target: TargetOptions,
    dry_run: bool,
    overwrite: bool,
    yes: bool,
) -> None:
    """Install boards; what is equal stays, what is not ours is refused with the reason.

    \b
    egops dashboards install --dry-run
    egops dashboards install --to grafana --url https://grafana.example.com --token "$TOKEN"
    """
    from egops.monitoring.install import boards_content

    content = boards_content(names, runbooks_at=values.text("runbooks.base"))
    run_install(content, target, dry_run=dry_run, overwrite=overwrite, yes=yes)


@dashboards.command()
@_NAMES
@valued
@targeting("dashboards")
@output_option("text", "json")
def diff(names: tuple[str, ...], values: Values, target: TargetOptions, output: str) -> None:
    """Show how installed boards differ from ours; exit with 1 if they do.

    \b
    egops dashboards diff --to sidecar
    """
    from egops.monitoring.install import boards_content

    run_diff(boards_content(names, runbooks_at=values.text("runbooks.base")), target, output)


@dashboards.command()
@targeting("dashboards")
@click.option("--dry-run", is_flag=True, help="Remove nothing.")
@click.option("-y", "--yes", is_flag=True, help="With auto: do it.")
def uninstall(target: TargetOptions, dry_run: bool, yes: bool) -> None:
    """Remove the boards that egops installed, and nothing else.

    \b
    egops dashboards uninstall --to sidecar --dry-run
    """
    run_uninstall("dashboards", target, dry_run=dry_run, yes=yes)


@dashboards.command()
@_NAMES
@asking
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="A board's variable.")
@click.option("--eg-version", default="", metavar="X.Y", help="The running Envoy Gateway.")
@output_option("text", "json")
@click.option("-v", "--verbose", is_flag=True, help="List queries with data too.")
def verify(
    names: tuple[str, ...],
    source: SourceOptions,
    variables: tuple[str, ...],
    eg_version: str,
    output: str,
    verbose: bool,
) -> None:
    """Ask every query of every panel; say which have data, and why the others have none.

    \b
    egops dashboards verify --prometheus http://127.0.0.1:9090
    """
    from egops.monitoring.questions import board_questions, parse_variables
    from egops.monitoring.shipped import boards

    given = parse_variables(variables)
    questions = [
        question
        for name, board in boards(names).items()
        for question in board_questions(name, board, given)
    ]
    run_verify(questions, source, release=eg_version, output=output, verbose=verbose)


@dashboards.command()
@click.argument("name", metavar="BOARD")
@asking
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="A board's variable.")
@click.option(
    "--range", "seconds", type=DURATION, default=3600.0, show_default="1h", help="Back to."
)
@click.option("--html", "page", type=click.Path(dir_okay=False), help="Write a page with charts.")
@click.option("--width", type=click.IntRange(40), default=None, help="Columns of the terminal.")
def show(
    name: str,
    source: SourceOptions,
    variables: tuple[str, ...],
    seconds: float,
    page: str | None,
    width: int | None,
) -> None:
    """Draw a board in the terminal, or with --html as a page of its own.

    \b
    egops dashboards show control-plane
    egops dashboards show proxies --html proxies.html
    """
    import shutil
    import time
    from pathlib import Path

    from egops.monitoring.picture import read_board
    from egops.monitoring.questions import parse_variables

    given = parse_variables(variables)
    picture = read_board(name, connected(source), now=time.time(), seconds=seconds, given=given)
    if page:
        from egops.monitoring.picture_html import to_html

        Path(page).write_text(to_html(picture), "utf-8")
        click.echo(f"wrote {page}", err=True)
        return
    from egops.monitoring.picture_text import to_text

    click.echo(to_text(picture, width=width or shutil.get_terminal_size().columns))
