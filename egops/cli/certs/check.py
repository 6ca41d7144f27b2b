"""`egops certs check`: every certificate, who uses and renews it, and what is wrong with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from egops.cli.options import source_options
from egops.cli.report import Steps, judge, report_options

if TYPE_CHECKING:
    from egops.cli.report import ReportOptions
    from egops.finding import Report
    from egops.gather import SourceOptions
    from egops.render import Terminal
    from egops.snapshot import Snapshot


@click.command()
@partial(report_options, more_formats=("prometheus",))
@source_options
def check(source: SourceOptions, options: ReportOptions) -> None:
    """Show every certificate that Envoy Gateway lives on, and what is wrong with it.

    \b
    egops certs check
    egops certs check -f manifests/
    egops certs check --admin http://127.0.0.1:19000
    egops certs check -o prometheus > /var/lib/node_exporter/certs.prom
    """
    from egops.inventory import READS
    from egops.rules.registry import certificate_rules

    judge("certs check", certificate_rules(), source, options, Steps(READS, present=show))


def show(report: Report, snapshot: Snapshot, options: ReportOptions, screen: Terminal) -> str:
    """Return inventory and findings in the format that was asked for."""
    from egops.inventory import rows
    from egops.render import inventory, renderer

    found, now = rows(snapshot), snapshot.taken_at
    if options.output == "prometheus":
        return inventory.prometheus(found, report)
    if options.output == "text":
        return f"{inventory.table(found, now, screen)}\n{renderer('text')(report, screen)}"
    if options.output == "name":
        return renderer("name")(report, screen)
    from egops.render.json import written

    return written(
        report, options.output, {"certificates": [inventory.plain(row, now) for row in found]}
    )
