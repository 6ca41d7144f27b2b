"""`egops inspect features`: which features are asked for, and which are live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from egops.cli.listing import OUTPUTS, filter_options, finish, look, show
from egops.cli.options import output_option, source_options

if TYPE_CHECKING:
    from egops.cli.listing import Filters
    from egops.gather import SourceOptions


@click.command()
@click.option("--all", "everything", is_flag=True, help="Features that nobody uses, too.")
@filter_options("proxy")
@output_option(*OUTPUTS)
@source_options
def features(source: SourceOptions, filters: Filters, everything: bool, output: str) -> None:
    """Show which features of Envoy Gateway 1.3 and later are asked for, and which are live.

    For each object that asks for one: which of its proxies have it, and at which hop it got lost:
    API (its target), control plane (its release, the status it wrote), or Envoy.

    \b
    egops inspect features
    egops inspect features --all -o wide
    egops inspect features -f manifests/ --config-dump dump.json -o json
    """
    from egops.features import FeatureRow, feature_rows, kinds

    snapshot, proxies = look(source, (), kinds(), proxy=filters.proxy)
    rows = [
        row
        for row in feature_rows(snapshot, proxies)
        if everything or row.asks or row.live or output in ("json", "yaml")
    ]
    show("features", FeatureRow, rows, output)
    finish(snapshot, proxies)
