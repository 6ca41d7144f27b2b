"""`egops inspect features`: which features are asked for, and which are live."""

from __future__ import annotations

import click


@click.command()
def features() -> None:
    """Show which features are asked for, and whether Envoy has them."""
