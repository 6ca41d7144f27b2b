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
    from egops.routetables import Translation
    from egops.snapshot import Kind, Proxy, Snapshot
    from egops.xds.match_request import Request
    from egops.xds.owners import Source
    from egops.xds.walk import Verdict, Walker
    from egops.xds.walk_story import Story


@dataclass
class Bench:
    """One distinct configuration and the proxies that have it.

    Of manifests there is no proxy but a Gateway; `translations` are what releases of Envoy Gateway
    make of it, the newest first.
    """

    names: tuple[str, ...]
    proxy: Proxy | None
    walker: Walker
    story: Story
    translations: tuple[tuple[Translation, Walker], ...] = ()

    @property
    def fleet(self) -> str:
        """Return whose proxies have it."""
        return self.proxy.fleet if self.proxy is not None else self.names[0]

    def judge(self, request: Request) -> Verdict:
        """Return what becomes of a request; unknown where releases differ about it.

        Raises:
            InputError: it names a listener or a port that is not there.
        """
        if not self.translations:
            return self.walker.judge(request)
        verdicts = [
            (made.generation.name, made.judged(walker.judge(request)))
            for made, walker in self.translations
        ]
        newest, verdict = verdicts[0]
        for older, other in verdicts[1:]:
            if _outcome(other) != _outcome(verdict):
                told = f"{older} on: {_short(other)}; {newest} on: {_short(verdict)}"
                verdict.outcome, verdict.status, verdict.location = "unknown", None, None
                verdict.reason = f"releases of Envoy Gateway differ ({told})"
                break
        return verdict


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

    def __init__(self, source: SourceOptions, proxy: str = "", release: str = "") -> None:
        """Read the dumps; with manifests alone, make what Envoy Gateway would make of them.

        Raises:
            EgopsError: none could be read, or none has a listener.
        """
        from egops.gatewayapi import ROUTE_KINDS
        from egops.xds.walk import Walker
        from egops.xds.walk_story import Story

        self.source = source
        self.snapshot: Snapshot
        self.benches: list[Bench] = []
        if is_offline(source):
            self._translate(release)
            return
        kinds = ROUTE_KINDS if source.files else ()
        self.snapshot, proxies = look(source, (), kinds, proxy=proxy)
        groups: dict[bytes, list[Proxy]] = {}
        for found in proxies:
            key = _fingerprint(found) if len(proxies) > 1 else b""
            groups.setdefault(key, []).append(found)
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

    def _translate(self, release: str) -> None:
        from egops.routetables import generations_of, translate
        from egops.routetables.reads import READS
        from egops.xds.walk import Walker
        from egops.xds.walk_story import Story

        generations = generations_of(release)
        self.snapshot = quiet_gather(self.source, READS)
        made = [translate(self.snapshot, generation) for generation in reversed(generations)]
        for versions in zip(*made, strict=True):
            distinct: dict[bytes, tuple[Translation, Walker]] = {}
            for entry in versions:
                if entry.has_listener:
                    distinct.setdefault(entry.fingerprint, (entry, Walker(entry.config)))
            if not distinct:
                continue
            pairs = tuple(distinct.values())
            walker = pairs[0][1]
            name = f"Gateway {versions[0].name} as the manifests have it"
            story = Story(walker, self._where)
            self.benches.append(Bench((name,), None, walker, story, pairs))
        if not self.benches:
            raise InputError(
                "the manifests hold no route for a Gateway with an HTTP listener",
                hint="name an Envoy: --config-dump FILE, --admin URL or a cluster",
            )

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
                found.append((bench, bench.judge(request)))
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
        if bench is not best[0] and bench.fleet == best[0].fleet and _outcome(verdict) != mine
    ]


def _outcome(verdict: Verdict) -> tuple[Any, ...]:
    route = verdict.route.route.name if verdict.route else None
    return verdict.outcome, route, verdict.status, verdict.location


def _short(verdict: Verdict) -> str:
    words = [verdict.outcome]
    if verdict.route is not None:
        words.append(verdict.route.route.name)
    if verdict.status is not None:
        words.append(str(verdict.status))
    return " ".join([*words, verdict.location or ""]).strip()


def is_offline(source: SourceOptions) -> bool:
    """Return whether there are manifests and no Envoy to look at."""
    from egops.gather import is_bundle

    dumps = source.config_dumps or source.admin or any(map(is_bundle, source.files))
    return bool(source.files) and not dumps


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
