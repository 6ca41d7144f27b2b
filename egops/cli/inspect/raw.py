"""`egops inspect raw`: the dump itself, without key material."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from egops.cli.listing import filter_options, look
from egops.cli.options import output_option, source_options
from egops.errors import InputError

if TYPE_CHECKING:
    from egops.cli.listing import Filters
    from egops.gather import SourceOptions
    from egops.xds.config_dump import ConfigDump

SECTIONS = (
    "bootstrap", "clusters", "endpoints", "listeners", "scopedroutes", "routes", "secrets", "ecds",
)  # fmt: skip


@click.command()
@click.argument("section", required=False, metavar="[SECTION]", default="")
@filter_options("proxy")
@output_option("json", "yaml")
@source_options
def raw(source: SourceOptions, filters: Filters, section: str, output: str) -> None:
    """Print a dump, or one section of it, with secrets redacted: what Envoy leaves, too.

    SECTION is bootstrap, clusters, endpoints, listeners, routes, secrets or ecds. The result is a
    dump again: other commands read it with --config-dump.

    \b
    egops inspect raw > dump.json
    egops inspect raw listeners --proxy envoy-gateway-system/envoy-edge-public-7c9f
    """
    wanted = section.lower().removesuffix("configdump").replace("_", "")
    if wanted and wanted not in SECTIONS:
        raise InputError(
            f"there is no section {section!r}", hint=f"choose one of {', '.join(SECTIONS)}"
        )
    _, found = look(source, (), proxy=filters.proxy)
    if len(found) > 1:
        names = ", ".join(proxy.name for proxy in found[:5])
        raise InputError(
            f"there are {len(found)} proxies: {names}", hint="choose one with --proxy NAME"
        )
    _print(found[0].config, wanted, output)


def _print(dump: ConfigDump, wanted: str, output: str) -> None:
    """Write section by section: only one of them is in memory as plain JSON."""
    import orjson

    from egops.xds.config_dump import plain
    from egops.xds.redact import redact

    chosen = [
        body
        for name, body in dump.raw_sections()
        if not wanted or name.partition("ConfigDump")[0].lower() == wanted
    ]
    if not chosen:
        names = (name.partition("ConfigDump")[0].lower() for name, _ in dump.raw_sections())
        held = ", ".join(dict.fromkeys(names))
        raise InputError(f"the dump has no section {wanted}", hint=f"it has {held}")
    stream = sys.stdout.buffer
    if output == "yaml":
        import yaml

        document = {"configs": [redact(plain(body)) for body in chosen]}
        stream.write(
            yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, encoding="utf-8")
        )
        return
    stream.write(b'{\n "configs": [\n')
    for number, body in enumerate(chosen):
        stream.write(b",\n" if number else b"")
        stream.write(orjson.dumps(redact(plain(body)), option=orjson.OPT_INDENT_2))
    stream.write(b"\n ]\n}\n")
