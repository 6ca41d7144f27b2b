"""`egops routes diff`: which requests change their fate between two config dumps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import output_option
from egops.errors import ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.walk import Walker
    from egops.xds.walk_changes import Change


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@output_option("text", "json")
@click.pass_context
def diff(ctx: click.Context, /, old: str, new: str, output: str) -> None:
    """Show which requests change their fate from one config dump to another, with an example each.

    OLD and NEW are saved dumps, or bundles of one proxy.

    \b
    egops routes diff before.json after.json
    """
    import msgspec

    from egops.xds.walk_changes import changes

    before, after = _walker(old), _walker(new)
    found = changes(before, after)
    if output == "json":
        document = {"changes": [_told(change) for change in found]}
        sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    else:
        for note in _versions(before, after):
            click.echo(note, err=True)
        for change in found:
            click.echo("\n".join(_lines(change)))
        click.echo(f"{len(found)} changes")
    ctx.exit(int(ExitCode.FINDINGS if found else ExitCode.OK))


def _walker(name: str) -> Walker:
    from egops.gather import SourceOptions, Wanted, gather, is_bundle
    from egops.snapshot import Probe
    from egops.xds.walk import Walker

    wanted = Wanted(probes=frozenset({Probe.CONFIG_DUMP}))
    given = SourceOptions(files=(name,)) if is_bundle(name) else SourceOptions(config_dumps=(name,))
    snapshot = gather(given, wanted)
    found = [proxy for proxy in snapshot.proxies if proxy.has(Probe.CONFIG_DUMP)]
    if len(found) != 1:
        names = ", ".join(proxy.name for proxy in found)
        raise InputError(f"{name} holds {len(found)} config dumps ({names})", hint="split it")
    return Walker(found[0].config)


def _versions(before: Walker, after: Walker) -> Iterator[str]:
    if before.how[2:-1] != after.how[2:-1]:
        names = [
            name.replace("_", " ")
            for name in before.how._fields[2:-1]
            if getattr(before.how, name) != getattr(after.how, name)
        ]
        yield (
            f"note: Envoy {before.how.name} and {after.how.name} match differently: "
            f"{', '.join(names)}"
        )


def _told(change: Change) -> dict[str, Any]:
    from egops.cli.routes.single import spec_of

    return {
        "request": spec_of(change.request),
        "requests": change.times,
        "differs": change.what,
        "old": change.old._asdict(),
        "new": change.new._asdict(),
    }


def _lines(change: Change) -> Iterator[str]:
    from egops.cli.routes.single import spec_of

    spec = spec_of(change.request)
    fields = "".join(f" -H '{name}: {value}'" for name, value in spec["headers"].items())
    url = f"{spec['scheme']}://{spec['authority']}{spec['path']}"
    yield f"{spec['method']} {url}{fields}  (port {spec.get('port', '-')})"
    yield f"  - {change.old}"
    yield f"  + {change.new}"
    for name in change.what:
        if name in ("backends", "path", "host", "filters", "location"):
            before, after = getattr(change.old, name), getattr(change.new, name)
            yield f"    {name}: {_word(before)} → {_word(after)}"
    if change.times > 1:
        yield f"    and {change.times - 1} more requests like it"


def _word(value: Any) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "none"
