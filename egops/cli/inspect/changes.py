"""`egops inspect diff`: what differs between two proxies, by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from egops.cli.listing import OUTPUTS, finish, look, show
from egops.cli.options import output_option, source_options
from egops.errors import ExitCode, InputError

if TYPE_CHECKING:
    from egops.gather import SourceOptions
    from egops.snapshot import Proxy, Snapshot


@click.command()
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@output_option(*OUTPUTS)
@source_options
def diff(source: SourceOptions, old: str, new: str, output: str) -> None:
    """Compare two dumps or two pods by resource and meaning; exit 1 if they differ.

    A and B are files, bundles, URLs of admin ports, or pods as NAMESPACE/NAME. The order of
    resources, versions and times do not count; that of routes does where one request may match
    two of them.

    \b
    egops inspect diff before.json after.json
    egops inspect diff eg/envoy-abc eg/envoy-def -o wide
    """
    from egops.xds.changes import Change, changes

    before, one = _proxy(source, old)
    after, other = _proxy(source, new)
    found = list(changes(one.config, other.config))
    if found or output not in ("table", "wide"):
        show("changes", Change, found, output)
    finish(before, (one,))
    finish(after, (other,))
    if found:
        raise click.exceptions.Exit(int(ExitCode.FINDINGS))


def _proxy(source: SourceOptions, where: str) -> tuple[Snapshot, Proxy]:
    """Return the one proxy that a file, a URL or a pod's name stands for."""
    from dataclasses import replace
    from pathlib import Path

    from egops.gather import is_bundle

    bare = replace(source, files=(), config_dumps=(), admin=())
    if where.startswith(("http://", "https://")):
        snapshot, found = look(replace(bare, admin=(where,)), ())
    elif is_bundle(where):
        snapshot, found = look(replace(bare, files=(where,)), ())
    elif where == "-" or Path(where).exists() or where.count("/") != 1:
        snapshot, found = look(replace(bare, config_dumps=(where,)), ())
    else:
        snapshot, found = look(bare, (), proxy=where)
    if len(found) != 1:
        raise InputError(
            f"{where} holds {len(found)} proxies", hint="name files with one dump each"
        )
    return snapshot, found[0]
