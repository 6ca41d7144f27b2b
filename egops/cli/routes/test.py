"""`egops routes test`: expectations about requests, kept in a file and checked against Envoy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import output_option, source_options
from egops.cli.routes.options import release_option
from egops.errors import AccessError, ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.cli.routes.judge import Judges
    from egops.expectations import Case
    from egops.gather import SourceOptions


@click.command("test")
@click.argument("file", metavar="FILE")
@click.option(
    "--record",
    is_flag=True,
    help="Write FILE: a request for every route, and what becomes of it now.",
)
@click.option("--force", is_flag=True, help="With --record: replace a file that is there.")
@click.option("--proxy", metavar="NAME", default="", help="Only this proxy.")
@release_option
@output_option("text", "json", "junit")
@source_options
@click.pass_context
def test_(
    ctx: click.Context,
    /,
    source: SourceOptions,
    file: str,
    output: str,
    proxy: str,
    release: str,
    *,
    record: bool,
    force: bool,
) -> None:
    """Check that requests take the routes they should: FILE says which.

    \b
    egops routes test routes.yaml --record        # what holds now, before an upgrade
    egops routes test routes.yaml                 # whether it still holds
    egops routes test routes.yaml --config-dump new.json -o junit > junit.xml
    egops routes test routes.yaml -f manifests/ --release 1.3.0   # before anything is applied
    """
    from egops.cli.routes.judge import Judges

    if record:
        _record(Judges(source, proxy, release), file, force=force)
        return
    cases = _load(file)
    judges = Judges(source, proxy, release)
    results = [(case, _problems(judges, case)) for case in cases]
    _show(file, results, output)
    ctx.exit(int(ExitCode.FINDINGS if any(bad for _, bad in results) else ExitCode.OK))


def _load(file: str) -> list[Case]:
    import yaml

    from egops.cli.routes.inputs import read_bytes
    from egops.expectations import parse

    try:
        return parse(yaml.load(read_bytes(file), yaml.CSafeLoader))
    except yaml.YAMLError as exc:
        raise InputError(f"{file} is no YAML: {' '.join(str(exc).split())}") from None


def _problems(judges: Judges, case: Case) -> list[str]:
    from egops.expectations import failures

    try:
        told = judges.judge(case.request).told(brief=False, near=0, hints=False)
    except InputError as exc:
        return [exc.message]
    return failures(case, told)


def _show(file: str, results: list[tuple[Case, list[str]]], output: str) -> None:
    import msgspec

    from egops.render.junit import junit

    if output == "junit":
        click.echo(junit(file, [(case.name, bad) for case, bad in results]), nl=False)
        return
    failed = sum(bool(bad) for _, bad in results)
    if output == "json":
        told = [{"name": c.name, "passed": not bad, "failures": bad} for c, bad in results]
        document = {"results": told, "passed": len(results) - failed, "failed": failed}
        sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
        return
    for case, bad in results:
        click.echo(f"{'✗' if bad else '✓'} {case.name}")
        for problem in bad:
            click.echo(f"    {problem}")
    click.echo(f"{len(results) - failed} passed, {failed} failed")


# ------------------------------------------------------------------ --record


def _record(judges: Judges, file: str, *, force: bool) -> None:
    import yaml

    tests = list(_recorded(judges))
    head = "# what each route takes; made by: egops routes test --record\n"
    style: dict[str, Any] = {"Dumper": yaml.CSafeDumper, "sort_keys": False, "allow_unicode": True}
    text = head + yaml.dump({"tests": tests}, **style)
    if file == "-":
        click.echo(text, nl=False)
    else:
        try:
            with open(file, "w" if force else "x", encoding="utf-8") as out:  # noqa: PTH123 - mode x
                out.write(text)
        except FileExistsError:
            raise InputError(f"{file} is there already", hint="replace it with --force") from None
        except OSError as exc:
            raise AccessError(f"cannot write {file}: {exc.strerror}") from None
        click.echo(f"{len(tests)} requests recorded in {file}", err=True)


def _recorded(judges: Judges) -> Iterator[dict[str, Any]]:
    from egops.cli.routes.single import spec_of
    from egops.expectations import record
    from egops.xds.walk_examples import example, spots

    unreached = 0
    for bench in judges.benches:
        for spot in spots(bench.walker):
            for route in spot.host.index.compiled:
                found = example(bench.walker, spot, route)
                if found is None:
                    unreached += 1
                    continue
                request, verdict = found
                told = bench.story.tell(verdict, near=0, hints=False)
                yield record(spec_of(request), told)
    if unreached:
        text = f"{unreached} routes have no test: no request was found that takes them"
        click.echo(f"note: {text}; see: egops routes shadowed", err=True)
