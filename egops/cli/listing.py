"""What the commands that list Envoy's resources share: reading dumps, filters, tables, JSON."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Protocol

import click

from egops.errors import ExitCode, InputError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from egops.gather import SourceOptions
    from egops.snapshot import Kind, Probe, Proxy, Snapshot

OUTPUTS = ("table", "wide", "json", "yaml", "name")
CHUNK = 2_000  # rows in one write


# ------------------------------------------------------------------ filters


@dataclass(frozen=True)
class Filters:
    """Which rows the user wants to see; an empty filter wants all."""

    port: int = 0
    host: str = ""
    path_prefix: str = ""
    route: str = ""
    cluster: str = ""
    warming: bool = False
    unhealthy: bool = False
    proxy: str = ""

    def wants_host(self, domains: Iterable[str]) -> bool:
        """Return whether one of the domains takes the host, or is what the user wrote."""
        host = self.host.lower()
        return not host or any(_takes(domain.lower(), host) for domain in domains)

    def wants_route(self, kind: str, namespace: str, name: str, rule: int | None) -> bool:
        """Return whether an object is the route asked for: `[KIND/]ns/name[/rule]`."""
        if not self.route:
            return True
        wanted = parse_object(self.route)
        return wanted.covers(kind, namespace, name, rule)

    def wants_cluster(self, names: Iterable[str]) -> bool:
        """Return whether one of the clusters is the one asked for; globs are allowed."""
        return not self.cluster or any(fnmatchcase(name, self.cluster) for name in names)


def _takes(domain: str, host: str) -> bool:
    if domain in ("*", host):
        return True
    if domain.startswith("*"):
        return host.endswith(domain[1:]) and len(host) > len(domain) - 1
    return domain.endswith("*") and host.startswith(domain[:-1])


@dataclass(frozen=True)
class ObjectSpec:
    """An object as users write it: `HTTPRoute/shop/cart/0`, `shop/cart`, `shop/cart/0`."""

    kind: str
    namespace: str
    name: str
    rule: int | None

    def covers(self, kind: str, namespace: str, name: str, rule: int | None) -> bool:
        """Return whether the object, and the rule if one was written, are meant."""
        return (
            (not self.kind or self.kind.lower() == kind.lower())
            and self.namespace == namespace
            and self.name == name
            and (self.rule is None or self.rule == rule)
        )


def parse_object(text: str) -> ObjectSpec:
    """Return what the user wrote.

    Raises:
        InputError: it has neither of the forms.
    """
    parts = text.split("/")
    rule = None
    if len(parts) > 2 and parts[-1].isdigit() and (len(parts) == 4 or not _is_kind(parts[0])):
        rule = int(parts.pop())
    if len(parts) == 2:
        parts.insert(0, "")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise InputError(
            f"{text!r} names no object", hint="write KIND/NAMESPACE/NAME or NAMESPACE/NAME[/RULE]"
        )
    return ObjectSpec(parts[0], parts[1], parts[2], rule)


def _is_kind(word: str) -> bool:
    return word.lower() in ("httproute", "grpcroute", "tlsroute", "tcproute", "udproute")


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "port": click.option(
        "--port", type=click.IntRange(1, 65535), help="Only this port, Envoy's or the Gateway's."
    ),
    "host": click.option("--host", metavar="NAME", help="Only what takes requests for this host."),
    "path_prefix": click.option(
        "--path-prefix", metavar="PATH", help="Only routes whose path starts so."
    ),
    "route": click.option(
        "--route", metavar="[KIND/]NS/NAME", help="Only what this route object made."
    ),
    "cluster": click.option(
        "--cluster", metavar="NAME", help="Only this Envoy cluster, or what uses it; a glob."
    ),
    "proxy": click.option(
        "--proxy", metavar="NAME", help="Only this proxy: NAMESPACE/POD, a fleet, or a glob."
    ),
    "warming": click.option(
        "--warming", is_flag=True, help="Only what Envoy does not use yet, or has refused."
    ),
    "unhealthy": click.option(
        "--unhealthy", is_flag=True, help="Only what has endpoints out of service, or none."
    ),
}


def filter_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command these filters, as one parameter `filters`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def collect(*args: Any, **kwargs: Any) -> Any:
            chosen = {name: kwargs.pop(name) for name in names}
            filters = Filters(**{name: value for name, value in chosen.items() if value})
            if filters.route:
                parse_object(filters.route)
            return function(*args, filters=filters, **kwargs)

        decorated: Callable[..., Any] = update_wrapper(collect, function)
        for name in reversed(names):
            decorated = _FILTERS[name](decorated)
        return decorated

    return decorate


# ------------------------------------------------------------------ reading


def look(
    source: SourceOptions, probes: Iterable[Probe], kinds: Iterable[Kind] = (), proxy: str = ""
) -> tuple[Snapshot, tuple[Proxy, ...]]:
    """Return the snapshot, and the proxies in it whose configuration could be read.

    What could not be read is told on stderr. `proxy` chooses one by name, globs allowed.

    Raises:
        UnreachableError: no proxy could be read.
    """
    from egops.gather import Wanted, gather
    from egops.gather.progress import progress_on
    from egops.snapshot import Probe

    # a dump of 50,000 routes is a million objects without cycles: collecting them is lost time
    gc.disable()
    click.get_current_context().call_on_close(gc.enable)
    only = frozenset({proxy} if proxy and "*" not in proxy else ())
    wanted = Wanted(frozenset(kinds), frozenset(probes) | {Probe.CONFIG_DUMP}, only)
    with progress_on(sys.stderr) as progress:
        snapshot = gather(source, wanted, progress)
    readable = []
    for found in snapshot.proxies:
        if proxy and not fnmatchcase(found.name, proxy) and found.fleet != proxy:
            continue
        if found.has(Probe.CONFIG_DUMP):
            readable.append(found)
        else:
            reason = found.failures.get(Probe.CONFIG_DUMP, "no config dump")
            click.echo(f"skipped: {found.name}: {reason}", err=True)
    for note in snapshot.notes:
        click.echo(f"note: {note}", err=True)
    if not readable and proxy:
        known = ", ".join(found.name for found in snapshot.proxies[:5])
        raise InputError(f"no proxy {proxy} could be read", hint=f"known are: {known}")
    if not readable:
        raise UnreachableError(_nobody(snapshot), hint=NOBODY_HINT)
    return snapshot, tuple(readable)


NOBODY_HINT = "name one with --config-dump FILE or --admin URL, or choose a cluster with --context"


def _nobody(snapshot: Snapshot) -> str:
    from egops.snapshot import Probe

    if snapshot.proxies:
        return f"none of the {len(snapshot.proxies)} Envoy proxies could be read"
    if why := snapshot.unprobed.get(Probe.CONFIG_DUMP):
        return f"no Envoy proxy was asked: {why}"
    return "there is no Envoy proxy to look at"


def note_missing_routes(proxies: Iterable[Proxy]) -> None:
    """Tell on stderr which route configurations Envoy waits for: their requests get a 404."""
    from egops.xds.topology import not_loaded

    for proxy in proxies:
        if proxy.config.has("Routes"):
            for name in not_loaded(proxy.config):
                text = f"a listener waits for the route configuration {name}, which is not loaded"
                click.echo(f"note: {proxy.name}: {text}", err=True)
        else:
            click.echo(f"note: {proxy.name}: the dump has no section of routes", err=True)


def finish(snapshot: Snapshot, proxies: Iterable[Proxy]) -> None:
    """Tell on stderr what of the dumps was not understood; leave with 124 if time ran out."""
    for proxy in proxies:
        for kind in sorted(set(proxy.config.unknown)):
            click.echo(f"note: {proxy.name}: unknown section {kind}", err=True)
        for oddity in proxy.config.oddities:
            click.echo(f"note: {proxy.name}: left out {oddity}", err=True)
    if snapshot.timed_out:
        click.echo("note: the time was up before everything was read", err=True)
        raise click.exceptions.Exit(int(ExitCode.TIMEOUT))


# ------------------------------------------------------------------ showing


class Row(Protocol):
    """What a row of a listing can do; it encodes to JSON as it is."""

    HEADERS: Sequence[str]
    WIDE: Sequence[str]

    def cells(self) -> Sequence[str]:
        """Return the columns of the table."""

    def wide(self) -> Sequence[str]:
        """Return more columns."""


def show(
    what: str,
    kind: Any,
    rows: Iterable[Any],
    output: str,
    *,
    name: Callable[[Any], str] = lambda row: row.name,
    proxy: Callable[[Any], str] | None = None,
    **more: Any,
) -> None:
    """Print rows as `-o` says.

    Args:
        what: the key of the list in JSON, also the word in messages.
        kind: the class of the rows.
        rows: the rows.
        output: one of `OUTPUTS`.
        name: what `-o name` prints of a row.
        proxy: what the column PROXY shows, if there are several.
        more: more keys of the JSON document.
    """
    stream = sys.stdout.buffer
    if output == "json":
        for piece in json_pieces(what, rows, more):
            stream.write(piece)
    elif output == "yaml":
        import yaml
        from msgspec import to_builtins

        document = {what: [to_builtins(row) for row in rows], **to_builtins(more)}
        style: dict[str, Any] = {"Dumper": yaml.CSafeDumper, "sort_keys": False}
        stream.write(yaml.dump(document, encoding="utf-8", allow_unicode=True, **style))
    elif output == "name":
        stream.write("".join(f"{name(row)}\n" for row in rows).encode())
    else:
        _table(what, kind, rows, wide=output == "wide", proxy=proxy)


def _table(
    what: str, kind: Any, rows: Iterable[Any], *, wide: bool, proxy: Callable[[Any], str] | None
) -> None:
    if proxy is not None:
        rows = list(rows)
    from egops.cli.report import terminal
    from egops.render.columns import columns

    headers = (*kind.HEADERS, *kind.WIDE) if wide else kind.HEADERS
    cells = [(*row.cells(), *row.wide()) for row in rows] if wide else [row.cells() for row in rows]
    if not cells:
        click.echo(f"No {what} found.", err=True)
        return
    if proxy is not None:
        headers = ("PROXY", *headers)
        cells = [(proxy(row), *line) for row, line in zip(rows, cells, strict=True)]
    screen = terminal()
    stream = sys.stdout.buffer
    for piece in columns(headers, cells, width=screen.width, unicode=screen.unicode):
        stream.write(piece.encode(sys.stdout.encoding or "utf-8", "replace"))


def json_pieces(what: str, rows: Iterable[Any], more: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield one JSON document: a row on each line, in pieces of many rows."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    yield b'{"%s":[' % what.encode()
    first, waiting = True, []
    for row in rows:
        waiting.append(encode(row))
        if len(waiting) == CHUNK:
            yield (b"\n" if first else b",\n") + b",\n".join(waiting)
            first, waiting = False, []
    if waiting:
        yield (b"\n" if first else b",\n") + b",\n".join(waiting)
    yield b"\n]"
    for key, value in more.items():
        yield b',\n"%s":%s' % (key.encode(), encode(value))
    yield b"}\n"
