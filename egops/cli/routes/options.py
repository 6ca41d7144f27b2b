"""Options that several of the routes commands share."""

from __future__ import annotations

import click

release_option = click.option(
    "--release",
    metavar="VERSION",
    default="",
    help="With manifests alone: the release of Envoy Gateway that turns them into routes (1.3.0);"
    " by default all from 1.2 on, and where they differ the answer is unknown.",
)
