"""`egops certs adopt`: hand the control plane's certificates over to somebody who renews them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from egops.cli.certs.rotating import looking, release_of, world_of

if TYPE_CHECKING:
    from egops.gather import SourceOptions


@click.command()
@click.argument("manager", type=click.Choice(["cert-manager"]))
@click.option(
    "--issuer",
    metavar="[KIND/]NAME",
    default="",
    help="An issuer that is there, such as ClusterIssuer/internal; without it, a CA of its own.",
)
@click.option(
    "--eg-version", metavar="X.Y.Z", default="", help="The release, where the image does not tell."
)
@looking
def adopt(*, source: SourceOptions, manager: str, issuer: str, eg_version: str) -> None:  # noqa: ARG001 - there is one so far
    """Print what to apply so that cert-manager renews the certificates, in which order, and traps.

    \b
    egops certs adopt cert-manager
    egops certs adopt cert-manager --issuer ClusterIssuer/internal > adopt.yaml
    """
    from egops.rotation.adopt import text
    from egops.rotation.plan import look
    from egops.rotation.session import names

    found = look(world_of(source), source.namespace, release_of(eg_version))
    click.echo(text(found.here, names(found), issuer), nl=False)
