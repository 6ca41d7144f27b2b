"""`egops certs rotate`: new certificates for the control plane, without losing a stream."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from egops.cli.certs.rotating import (
    confirm,
    interruptible,
    lock_of,
    release_of,
    standalone,
    world_of,
    writing,
)
from egops.cli.options import output_option
from egops.errors import InputError

if TYPE_CHECKING:
    from egops.gather import SourceOptions
    from egops.rotation.plan import Found
    from egops.rotation.session import Choice
    from egops.rotation.world import World

DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0, "y": 365.0}


class Lifetime(click.ParamType[timedelta]):
    """`90d`, `26w`, `5y`, `12h`."""

    name = "lifetime"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the span."""
        if isinstance(value, timedelta):
            return value
        text = str(value).strip()
        try:
            days = float(text[:-1]) * DAYS[text[-1:]]
        except (ValueError, KeyError):
            self.fail(f"{value!r} is no lifetime such as 90d or 5y", param, ctx)
        if not 1 / 24 <= days <= 36500:
            self.fail(f"{value!r} is not between one hour and a hundred years", param, ctx)
        return timedelta(days=days)


@click.command()
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and stop.")
@click.option(
    "--dry-run",
    is_flag=False,
    flag_value="server",
    default="",
    type=click.Choice(["", "server"]),
    metavar="[server]",
    help="Let the API server validate every write, and write nothing.",
)
@click.option(
    "--only",
    type=click.Choice(["leaf"]),
    default=None,
    help="New leaves under the CA that --keep-ca kept; nobody has to trust a new one.",
)
@click.option(
    "--keep-ca",
    is_flag=True,
    help="Keep the new CA's key in a Secret of its own, so that --only leaf works next time.",
)
@click.option(
    "--ca-from",
    metavar="SECRET",
    default="",
    help="Sign with the CA and key in this Secret (tls.crt, tls.key), such as cert-manager's.",
)
@click.option(
    "--key-type",
    type=click.Choice(["rsa2048", "rsa4096", "ecdsa-p256"]),
    default="rsa2048",
    show_default=True,
    help="The kind of the new keys.",
)
@click.option(
    "--lifetime",
    type=Lifetime(),
    default="1825d",
    show_default=True,
    help="How long the new leaves are good; the CA lasts a little longer.",
)
@click.option(
    "--force-reconnect",
    is_flag=True,
    help="Restart Envoy Gateway at the end, so that every stream is made anew (a stolen key).",
)
@click.option(
    "--afresh",
    is_flag=True,
    help="Do not go on with the rotation that was begun; start from what the Secrets hold now.",
)
@click.option(
    "--rotate-hmac",
    is_flag=True,
    help="Write a new OIDC HMAC too: every user of an OIDC policy has to log in again.",
)
@click.option(
    "--backup",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write the old certificates and keys into a file of mode 0600 as well.",
)
@click.option(
    "--emit",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="Write the manifests of each phase into files (with keys, mode 0600), and stop.",
)
@click.option(
    "--from-issuer",
    is_flag=True,
    help="Print the cert-manager resources for moving there, as `certs adopt` does, and stop.",
)
@writing
@output_option("text", "json")
def rotate(
    *,
    source: SourceOptions,
    only_plan: bool,
    dry_run: str,
    only: str | None,
    keep_ca: bool,
    ca_from: str,
    key_type: str,
    lifetime: timedelta,
    force_reconnect: bool,
    afresh: bool,
    rotate_hmac: bool,
    backup: Path | None,
    emit: Path | None,
    from_issuer: bool,
    config_home: Path | None,
    yes: bool,
    timeout: float,
    soak: float,
    owns: bool,
    eg_version: str,
    output: str,
) -> None:
    """Rotate CA and leaves of the control plane, phase by phase, each proved before the next.

    It shows the plan and asks. A rotation that was interrupted goes on where it stands.

    \b
    egops certs rotate --plan
    egops certs rotate
    egops certs rotate --yes --keep-ca --lifetime 365d
    egops certs rotate --yes --only leaf
    """
    from egops.rotation.adopt import text
    from egops.rotation.engine import Pace
    from egops.rotation.hmac import effect
    from egops.rotation.material import Wish
    from egops.rotation.plan import look
    from egops.rotation.session import Choice, names, refuse, rehearse, require_rights
    from egops.rotation.session import rotate as run

    choice = Choice(
        Wish(key_type, lifetime, keep_ca),
        Pace(timeout, soak, force_reconnect),
        only == "leaf",
        backup,
        rotate_hmac,
        ca_from,
    )
    if config_home:
        confirm(f"Rotate the files in {config_home}?", yes=yes)
        with interruptible():
            record = standalone(config_home, choice.pace).rotate(choice.wish)
        click.echo(f"rotated: {record.id}; egops-rotation.json keeps the old ones for a rollback")
        return
    world = world_of(source)
    found = look(world, source.namespace, release_of(eg_version), afresh=afresh)
    if from_issuer:
        click.echo(text(found.here, names(found)), nl=False)
        return
    show(found, output)
    if only_plan:
        return
    if emit:
        write_manifests(world, found, choice, emit)
        return
    refuse(found, owns=owns)
    require_rights(world, found, choice)
    if dry_run:
        rehearse(world, found, choice)
        click.echo("the API server accepts every write; nothing was written", err=True)
        return
    if rotate_hmac:
        for line in effect(world, found.here).lines():
            click.secho(f"OIDC HMAC: {line}", fg="red", err=True)
    word = "Go on with this rotation?" if found.is_under_way else "Rotate these certificates?"
    confirm(word, yes=yes)
    with interruptible():
        record = run(world, found, choice, lock_of(world, found))
    told = f"rotated: {record.id}; Secret egops-rotation keeps the old ones for a rollback"
    click.echo(told, err=output == "json")


def write_manifests(world: World, found: Found, choice: Choice, folder: Path) -> None:
    """Write the manifests of a rotation that somebody else carries out."""
    from egops.rotation.emit import write
    from egops.rotation.session import new_record

    if found.is_under_way:
        raise InputError("a rotation is under way", hint="finish it, or roll it back first")
    paths = write(folder, found, new_record(world, found, choice, world.now()))
    for path in paths:
        click.echo(f"wrote {path}", err=True)
    click.echo("they hold private keys (mode 0600); nothing was written to the cluster", err=True)


def show(found: Found, output: str) -> None:
    """Print a plan."""
    from egops.rotation.words import plan_data, plan_lines

    if output == "json":
        from egops.cli.monitoring import print_json

        print_json(plan_data(found))
        return
    click.echo("\n".join(plan_lines(found)))
