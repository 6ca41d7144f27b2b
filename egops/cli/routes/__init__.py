"""`egops routes`: whose an Envoy route is, and which rule a request takes."""

from __future__ import annotations

import click


@click.group()
def routes() -> None:
    """Map Envoy's routes to HTTPRoute rules, and explain which one a request takes."""
