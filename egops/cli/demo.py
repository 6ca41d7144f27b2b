"""`egops demo`."""

from __future__ import annotations

import click


@click.command()
@click.option("--keep", is_flag=True, help="Leave Envoy running until Ctrl-C, to try things out.")
def demo(*, keep: bool) -> None:
    """Show egops at work on a real Envoy and a recorded cluster, on this machine alone."""
    from egops.demo import run

    run(keep=keep)
