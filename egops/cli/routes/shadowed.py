"""`egops routes shadowed`: routes that no request reaches, and routes that compete."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import output_option, source_options
from egops.cli.routes.options import release_option
from egops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.cli.routes.judge import Bench
    from egops.gather import SourceOptions
    from egops.xds.config_dump import VirtualHost
    from egops.xds.match_table import Compiled
    from egops.xds.shadow import Shadow
    from egops.xds.walk import Walker
    from egops.xds.walk_examples import Spot

DEAD = ("never", "equal", "unreachable")
WORDS = {
    "never": "can never match",
    "equal": "is equal to one before it",
    "unreachable": "is hidden by one before it",
    "overlap": "shares requests with one before it",
    "may overlap": "may share requests with one before it",
}
MOST_EXAMPLES = 2_000


@dataclass
class Row:
    """One pair of routes, and all virtual hosts where they meet."""

    kind: str
    route: str
    source: dict[str, Any] | None
    winner: str | None
    winner_source: dict[str, Any] | None
    because: str
    precedence: str
    example: dict[str, Any] | None
    places: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """Return the row as JSON."""
        winner = {"route": self.winner, "source": self.winner_source} if self.winner else None
        return {
            "kind": self.kind,
            "route": self.route,
            "source": self.source,
            "winner": winner,
            "because": self.because,
            "precedence": self.precedence,
            "example": self.example,
            "virtual_hosts": self.places,
        }


@click.command("shadowed")
@click.option("--all", "everything", is_flag=True, help="Also overlaps within one route object.")
@click.option("--dead", is_flag=True, help="Only routes that no request can reach.")
@click.option("--proxy", metavar="NAME", default="", help="Only this proxy.")
@click.option(
    "--fail-on",
    type=click.Choice(["dead", "overlap", "never"]),
    default="dead",
    show_default=True,
    help="Exit 1 on routes that nobody reaches, also on overlaps, or on nothing.",
)
@release_option
@output_option("text", "json")
@source_options
@click.pass_context
def shadowed(
    ctx: click.Context,
    /,
    source: SourceOptions,
    *,
    output: str,
    proxy: str,
    release: str,
    fail_on: str,
    everything: bool,
    dead: bool,
) -> None:
    """Find routes that no request can reach, and routes that compete for the same requests.

    From live Envoys or dumps, or from manifests (-f) alone: then in the order that Envoy Gateway
    would give them.

    \b
    egops routes shadowed
    egops routes shadowed -f manifests/ --fail-on overlap
    """
    found = list(_found(source, proxy, release))
    rows = [
        row for row in found if row.kind in DEAD or (not dead and (everything or _crosses(row)))
    ]
    _show(rows, output)
    counted = DEAD if fail_on == "dead" else tuple(WORDS) if fail_on == "overlap" else ()
    failed = any(row.kind in counted for row in rows)
    ctx.exit(int(ExitCode.FINDINGS if failed else ExitCode.OK))


def _crosses(row: Row) -> bool:
    """Return whether two objects compete, not two rules of one."""
    one, other = row.source, row.winner_source
    if one is None or other is None:
        return True
    keys = ("kind", "namespace", "name")
    return any(one[key] != other[key] for key in keys)


def _found(source: SourceOptions, proxy: str, release: str) -> Iterator[Row]:
    from egops.cli.routes.judge import Judges
    from egops.xds.walk_examples import ordered_spots

    rows: dict[tuple[Any, ...], Row] = {}
    for bench in Judges(source, proxy, release).benches:
        for spot in ordered_spots(bench.walker):
            _collect(rows, spot.host.virtual_host, _shadows(bench.walker, spot), bench, spot)
    return iter(rows.values())


def _shadows(walker: Walker, spot: Spot) -> Iterable[Shadow]:
    from egops.xds.shadow import shadows

    return shadows(spot.host.index.compiled, spot.way.manager, walker.how)


def _collect(
    rows: dict[tuple[Any, ...], Row],
    virtual_host: VirtualHost,
    found: Iterable[Shadow],
    bench: Bench,
    spot: Spot,
) -> None:
    """Add what was found; the same pair in several virtual hosts is one row."""
    from egops.xds.shadow import precedence

    for shadow in found:
        loser, winner = shadow.loser, shadow.winner
        key = (shadow.kind, _key(loser), _key(winner))
        row = rows.get(key)
        if row is None:
            row = rows[key] = Row(
                shadow.kind,
                loser.route.name,
                _source(loser, virtual_host),
                winner.route.name if winner else None,
                _source(winner, virtual_host) if winner else None,
                shadow.because,
                precedence(winner, loser) if winner else "",
                _example(bench, spot, shadow) if len(rows) < MOST_EXAMPLES else None,
            )
        row.places.append(virtual_host.name)


def _key(route: Compiled | None) -> Any:
    """Return what is the same for one match of a rule under all its hostnames."""
    from egops.xds.names import parse_route

    if route is None:
        return None
    known = parse_route(route.route.name)
    if known is None:
        return id(route)
    return known.kind, known.namespace, known.name, known.rule, known.match


def _source(route: Compiled, virtual_host: VirtualHost) -> dict[str, Any] | None:
    from msgspec import to_builtins

    from egops.xds.owners import Source, route_source

    made_by = route_source(route.route, virtual_host)
    return to_builtins(made_by) if isinstance(made_by, Source) else None


def _example(bench: Bench, spot: Spot, shadow: Shadow) -> dict[str, Any] | None:
    """Return a request that both routes match and the winner gets, verified by walking it."""
    from egops.cli.routes.single import spec_of
    from egops.xds.walk_examples import requests

    if shadow.winner is None:
        return None
    pair = [shadow.loser] if shadow.kind in DEAD else [shadow.winner, shadow.loser]
    for request in requests(spot, pair):
        verdict = bench.walker.judge(request)
        if verdict.seen is None or verdict.route is None or verdict.host is not spot.host:
            continue
        both = shadow.loser.matches(verdict.seen) and shadow.winner.matches(verdict.seen)
        if both and verdict.route.index <= shadow.winner.index:
            return spec_of(request)
    return None


# ------------------------------------------------------------------ showing


def _show(rows: list[Row], output: str) -> None:
    import msgspec

    if output == "json":
        document = {"shadowed": [row.told() for row in rows]}
        sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
        return
    for row in rows:
        click.echo("\n".join(_lines(row)))
    count = sum(row.kind in DEAD for row in rows)
    click.echo(f"{count} routes that no request reaches, {len(rows) - count} overlaps")


def _lines(row: Row) -> Iterator[str]:
    from egops.cli.routes.single import rule_words

    name = rule_words(row.source) if row.source else row.route or "(unnamed route)"
    yield f"{'✗' if row.kind in DEAD else '!'} {name} {WORDS[row.kind]}: {row.because}"
    if row.winner is not None:
        winner = rule_words(row.winner_source) if row.winner_source else row.winner or "(unnamed)"
        yield f"    winner   {winner}"
        yield f"    decides  {row.precedence}"
    if row.example is not None:
        example = row.example
        fields = "".join(f" -H '{name}: {value}'" for name, value in example["headers"].items())
        url = f"{example['scheme']}://{example['authority']}{example['path']}"
        yield f"    example  {example['method']} {url}{fields}"
    places = ", ".join(row.places[:3])
    more = f" and {len(row.places) - 3} more" if len(row.places) > 3 else ""
    yield f"    in       {places}{more}"
