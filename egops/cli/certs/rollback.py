"""`egops certs rollback`: back to the certificates from before the last rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pathlib import Path

    from egops.gather import SourceOptions


@click.command()
@click.option(
    "--overwrite", is_flag=True, help="Write the backup over what somebody else wrote meanwhile."
)
@writing
def rollback(
    *,
    source: SourceOptions,
    overwrite: bool,
    config_home: Path | None,
    yes: bool,
    timeout: float,
    soak: float,
    owns: bool,
    eg_version: str,
) -> None:
    """Go back to the certificates from before the last rotation, from whatever phase it reached.

    It is the same move in the other direction, with the same proofs; twice is safe.

    \b
    egops certs rollback
    egops certs rollback --yes --soak 0s
    """
    from egops.rotation.engine import Pace
    from egops.rotation.plan import look
    from egops.rotation.session import refuse, require_rights, roll_back
    from egops.rotation.words import plan_lines

    pace = Pace(timeout, soak, overwrite=overwrite)
    if config_home:
        confirm(f"Go back to the old files in {config_home}?", yes=yes)
        with interruptible():
            record = standalone(config_home, pace).roll_back()
        click.echo(f"rolled back: {record.id}; the files hold what they held before")
        return
    world = world_of(source)
    found = look(world, source.namespace, release_of(eg_version))
    click.echo("\n".join(plan_lines(found)))
    refuse(found, owns=owns, overwrite=overwrite)
    require_rights(world, found)
    confirm("Go back to the old certificates?", yes=yes)
    with interruptible():
        record = roll_back(world, found, pace, lock_of(world, found))
    click.echo(f"rolled back: {record.id}; the Secrets hold what they held before, byte for byte")
