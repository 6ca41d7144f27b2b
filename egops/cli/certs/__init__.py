"""`egops certs`: the certificates that Envoy Gateway lives on."""

from __future__ import annotations

import click

from egops.cli.certs.check import check


@click.group()
def certs() -> None:
    """Check the certificates of Envoy Gateway, its proxies and its listeners.

    \b
    egops certs check
    egops certs check --at 2027-03-01            what will have ended by then
    egops certs check -o prometheus > certs.prom
    """


certs.add_command(check)
