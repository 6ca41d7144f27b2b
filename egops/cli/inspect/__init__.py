"""`egops inspect`: what Envoy has, and which object made it."""

from __future__ import annotations

import click

from egops.cli.inspect.changes import diff
from egops.cli.inspect.features import features
from egops.cli.inspect.raw import raw
from egops.cli.inspect.resources import (
    clusters,
    endpoints,
    filters,
    listeners,
    proxies,
    routes,
    secrets,
)


@click.group()
def inspect() -> None:
    """Show what Envoy really has, and which Gateway API object made it.

    Looks at the proxies of the current cluster, at --admin URL, or at a saved --config-dump FILE.

    \b
    egops inspect proxies
    egops inspect routes --host shop.example.com
    egops inspect clusters --unhealthy
    egops inspect secrets --config-dump dump.json.gz -o wide
    egops inspect diff yesterday.json today.json
    """


for command in (
    proxies, listeners, routes, clusters, endpoints, secrets, filters, raw, diff, features,
):  # fmt: skip
    inspect.add_command(command)
