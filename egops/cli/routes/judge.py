"""What `explain` and `test` share: the Envoys that are asked, and one verdict of them."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from egops.cli.listing import look
from egops.errors import EgopsError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.gather import SourceOptions
    from egops.snapshot import Kind, Proxy, Snapshot
    from egops.xds.match_request import Request
    from egops.xds.owners import Source
    from egops.xds.walk import Verdict, Walker
    from egops.xds.walk_story import Story


@dataclass
class Bench:
    """One distinct configuration and the proxies that have it."""

    names: tuple[str, ...]
    proxy: Proxy
    walker: Walker
    story: Story


@dataclass
class Answered:
    """A verdict, the Envoy it holds for, and those that would do otherwise."""

    verdict: Verdict
    bench: Bench
    differing: list[tuple[Bench, Verdict]]

    def told(self, *, brief: bool, near: int, hints: bool = True) -> dict[str, Any]:
        """Return the result as JSON, without `id` and `request`."""
        result = self.bench.story.tell(self.verdict, brief=brief, near=near, hints=hints)
        if self.differing:
            result["other_proxies"] = [
                {
                    "proxies": list(bench.names),
                    "outcome": verdict.outcome,
                    "route": verdict.route.route.name if verdict.route else None,
                    "status": verdict.status,
                }
                for bench, verdict in self.differing
            ]
        return result


class Judges:
    """All Envoys that could be read, one for each distinct configuration."""

    def __init__(self, source: SourceOptions, proxy: str = "") -> None:
        """Read the dumps.

        Raises:
            EgopsError: none could be read, or none has a listener.
        """
        from egops.gatewayapi import ROUTE_KINDS
        from egops.gather import is_bundle
        from egops.xds.walk import Walker
        from egops.xds.walk_story import Story

        dumps = source.config_dumps or source.admin or any(map(is_bundle, source.files))
        if source.files and not dumps:
            raise InputError(
                "manifests alone do not tell what Envoy does with a request",
                hint="name an Envoy: --config-dump FILE, --admin URL or a cluster",
            )
        self.source = source
        self.snapshot: Snapshot
        kinds = ROUTE_KINDS if source.files else ()
        self.snapshot, proxies = look(source, (), kinds, proxy=proxy)
        groups: dict[bytes, list[Proxy]] = {}
        for found in proxies:
            key = _fingerprint(found) if len(proxies) > 1 else b""
            groups.setdefault(key, []).append(found)
        self.benches: list[Bench] = []
        refused: EgopsError | None = None
        for members in groups.values():
            names = tuple(member.name for member in members)
            try:
                walker = Walker(members[0].config)
            except InputError as exc:
                refused = exc
                click.echo(f"skipped: {', '.join(names)}: {exc.message}", err=True)
                continue
            self.benches.append(Bench(names, members[0], walker, Story(walker, self._where)))
        if not self.benches and refused is not None:
            raise refused
        for bench in self.benches:
            if not bench.walker.how.version_known:
                text = "the dump does not tell Envoy's version"
                click.echo(f"note: {bench.names[0]}: {text}; judged as the newest", err=True)
        gc.freeze()

    def _where(self, made_by: Source) -> dict[str, Any]:
        """Return the file and the line where a rule is written, if its object was given."""
        for resources in self.snapshot.resources.values():
            for resource in resources:
                named = (resource.kind.name, resource.namespace, resource.name)
                if named == (made_by.kind, made_by.namespace, made_by.name):
                    path = () if made_by.rule is None else ("spec", "rules", made_by.rule)
                    place = resource.at(*path)
                    return {"file": place.file, "line": place.line} if place.file else {}
        return {}

    def judge(self, request: Request) -> Answered:
        """Return the verdict of the Envoy that serves a request.

        Raises:
            InputError: no Envoy has the listener or port it names.
        """
        from egops.xds.walk import RANK

        found: list[tuple[Bench, Verdict]] = []
        problem: InputError | None = None
        for bench in self.benches:
            try:
                found.append((bench, bench.walker.judge(request)))
            except InputError as exc:
                problem = exc
        if not found:
            assert problem is not None
            raise problem
        best = min(found, key=lambda pair: RANK[pair[1].outcome])
        return Answered(best[1], best[0], _differing(best, found))


def _differing(
    best: tuple[Bench, Verdict], found: list[tuple[Bench, Verdict]]
) -> list[tuple[Bench, Verdict]]:
    """Return the verdicts of replicas of the same fleet that differ."""
    mine = _outcome(best[1])
    return [
        (bench, verdict)
        for bench, verdict in found
        if bench is not best[0]
        and bench.proxy.fleet == best[0].proxy.fleet
        and _outcome(verdict) != mine
    ]


def _outcome(verdict: Verdict) -> tuple[Any, ...]:
    route = verdict.route.route.name if verdict.route else None
    return verdict.outcome, route, verdict.status, verdict.location


def _fingerprint(proxy: Proxy) -> bytes:
    from egops.snapshot import Probe

    return hashlib.blake2b(proxy.documents[Probe.CONFIG_DUMP]).digest()


def quiet_gather(source: SourceOptions, kinds: Iterable[Kind]) -> Snapshot:
    """Return the snapshot of manifests; what could not be read of them is told on stderr."""
    from egops.gather import Wanted, gather

    snapshot = gather(source, Wanted(frozenset(kinds)))
    for note in snapshot.notes:
        click.echo(f"note: {note}", err=True)
    return snapshot
