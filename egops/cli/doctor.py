"""`egops doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from egops.cli.options import source_options
from egops.cli.report import judge, report_options

if TYPE_CHECKING:
    from egops.cli.report import ReportOptions
    from egops.gather import SourceOptions


@click.command()
@click.argument("targets", nargs=-1, metavar="[KIND/NAMESPACE/NAME]...")
@click.option("--strict", is_flag=True, help="Believe what has not settled yet (60 s) too.")
@report_options
@source_options
def doctor(source: SourceOptions, options: ReportOptions) -> None:
    """Check an Envoy Gateway installation and explain what is wrong with it.

    Reads the cluster of the current context, every proxy's admin port and the control plane's
    metrics; or, with -f, --config-dump and --admin, only what is given.

    \b
    egops doctor
    egops doctor Gateway/edge/public            only what concerns this Gateway
    egops doctor --only route,EGD-441 -o json
    egops doctor -f manifests/                  before anything is applied
    egops doctor --baseline yesterday.json      fail only for what is new
    """
    from egops.rules.registry import doctor_rules

    judge("doctor", doctor_rules(), source, options)
