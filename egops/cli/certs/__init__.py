"""`egops certs`: the certificates that Envoy Gateway lives on."""

from __future__ import annotations

import click

from egops.cli.certs.adopt import adopt
from egops.cli.certs.check import check
from egops.cli.certs.rollback import rollback
from egops.cli.certs.rotate import rotate


@click.group()
def certs() -> None:
    """Check the certificates of Envoy Gateway, its proxies and its listeners; rotate its own.

    \b
    egops certs check
    egops certs check --at 2027-03-01            what will have ended by then
    egops certs check -o prometheus > certs.prom
    egops certs rotate --plan                    new ones for the control plane
    """


certs.add_command(check)
certs.add_command(rotate)
certs.add_command(rollback)
certs.add_command(adopt)
