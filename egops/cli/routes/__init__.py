"""`egops routes`: whose an Envoy route is, and which rule a request takes."""

from __future__ import annotations

import click

from egops.cli.routes.diff import diff
from egops.cli.routes.explain import explain
from egops.cli.routes.map import map_
from egops.cli.routes.shadowed import shadowed
from egops.cli.routes.test import test_


@click.group()
def routes() -> None:
    """Map Envoy's routes to HTTPRoute rules, and explain which one a request takes."""


routes.add_command(diff)
routes.add_command(explain)
routes.add_command(map_)
routes.add_command(shadowed)
routes.add_command(test_)
