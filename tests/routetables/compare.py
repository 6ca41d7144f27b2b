"""The tables made of manifests against those of Envoy Gateway's own translators."""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.gather.manifests import Manifests, ordered
from egops.routetables import translate
from egops.snapshot import Origin, Snapshot, Source, SourceType
from egops.xds.config_dump import ConfigDump, plain
from egops.xds.match_request import decode
from egops.xds.shadow import shadows
from egops.xds.walk import Verdict, Walker
from egops.xds.walk_action import upstream_host, upstream_path
from egops.xds.walk_examples import ordered_spots
from tests.envoy import traffic
from tests.envoy.compare import to_request
from tests.routetables import manifests
from tools.translate.build import CACHE
from tools.translate.tree import tree_of

if TYPE_CHECKING:
    from pathlib import Path

    from egops.routetables import Generation, Translation

KIND = "type.googleapis.com/envoy."


def snapshot_of(objects: list[dict[str, Any]]) -> Snapshot:
    """Return objects as the snapshot that files with them would give."""
    found = Manifests()
    for body in objects:
        found.add(body, Origin())
    source = Source(SourceType.FILES)
    return Snapshot(datetime.now(UTC), source, resources=ordered(found.resources))


def as_dump(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the translators' answer for the one Gateway as a config dump."""
    xds: dict[str, Any] = next(iter(answer["xds"].values()), {})
    listeners = xds.get(KIND + "config.listener.v3.Listener") or []
    tables = xds.get(KIND + "config.route.v3.RouteConfiguration") or []
    return {
        "configs": [
            {
                "@type": KIND + "admin.v3.ListenersConfigDump",
                "dynamic_listeners": [
                    {"name": entry["name"], "active_state": {"listener": entry}}
                    for entry in listeners
                ],
            },
            {
                "@type": KIND + "admin.v3.RoutesConfigDump",
                "dynamic_route_configs": [{"route_config": table} for table in tables],
            },
        ]
    }


def oracle_answers(
    version: str, inputs: list[list[dict[str, Any]]], folder: Path
) -> list[dict[str, Any]]:
    """Return what the translators of a release make of each list of objects."""
    paths = []
    for number, objects in enumerate(inputs):
        path = folder / f"{number}.yaml"
        path.write_text(json.dumps(tree_of(objects)), "utf-8")
        paths.append(path)
    out = folder / "out"
    out.mkdir()
    subprocess.run([CACHE / f"oracle-{version}", str(out), *map(str, paths)], check=True)
    return [json.loads((out / f"{path.name}.json").read_text("utf-8")) for path in paths]


@dataclass
class Tally:
    """What a run found."""

    pairs: int = 0
    unknown: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    shadows: int = 0
    differences: list[str] = field(default_factory=list)


def compare(
    version: str, generation: Generation, seed: int, count: int, each: int, folder: Path
) -> Tally:
    """Ask both for `each` requests on each of `count` configurations."""
    rnd = Random(seed)
    inputs = []
    for _ in range(count):
        objects = manifests.objects(rnd, cookies=generation.cookies)
        if generation.cookies:
            objects.append(manifests.cookie_filter())
        inputs.append(sorted(objects, key=_age))
    tally = Tally()
    for objects, answer in zip(inputs, oracle_answers(version, inputs, folder), strict=True):
        _compare_one(objects, answer, generation, rnd, each, tally)
    return tally


def _age(body: dict[str, Any]) -> tuple[str, str]:
    """Return the order in which the provider hands over objects."""
    metadata = body["metadata"]
    return metadata.get("creationTimestamp", ""), metadata["name"]


def _compare_one(
    objects: list[dict[str, Any]],
    answer: dict[str, Any],
    generation: Generation,
    rnd: Random,
    each: int,
    tally: Tally,
) -> None:
    assert not answer.get("error"), answer["error"]
    document = as_dump(answer)
    real = Walker(ConfigDump.parse(json.dumps(document).encode()))
    made = translate(snapshot_of(objects), generation)[0]
    ours = Walker(made.config)
    names = {entry.name: entry for entry in ours.http_listeners}
    _compare_shadows(real, ours, made, tally)
    for listener in real.http_listeners:
        config = _requestable(document, listener.name)
        if not config["virtual_hosts"]:
            continue
        for _ in range(each):
            sent = traffic.request(rnd, config, listener.port)
            request = to_request(sent, listener.name)
            expected = real.walk(request, listener)
            tally.pairs += 1
            tally.outcomes[expected.outcome] = tally.outcomes.get(expected.outcome, 0) + 1
            try:
                verdict = made.judged(ours.walk(request, names[listener.name]))
            except (InputError, KeyError) as exc:
                tally.differences.append(f"{listener.name}: {exc!r}")
                return
            if verdict.outcome == "unknown":
                tally.unknown += 1
                assert verdict.reason
            elif fate(verdict) != fate(expected):
                tally.differences.append(f"{sent}: {fate(verdict)}, really {fate(expected)}")


def _compare_shadows(real: Walker, ours: Walker, made: Translation, tally: Tally) -> None:
    """Compare what is unreachable or competes, where nothing about the order is open."""
    expected, found = _shadows(real), _shadows(ours)
    for host in expected.keys() | found.keys():
        names = {
            name for _, *pair in expected.get(host, set()) | found.get(host, set()) for name in pair
        }
        known = [made.standings.get((host[1], name)) for name in names]
        standings = [standing for standing in known if standing is not None]
        pairs = itertools.combinations(standings, 2)
        if any(a.rank == b.rank and a.tie(b, made.generation) for a, b in pairs):
            continue
        tally.shadows += len(expected.get(host, ()))
        if expected.get(host) != found.get(host):
            tally.differences.append(f"{host}: {found.get(host)}, really {expected.get(host)}")


def _shadows(walker: Walker) -> dict[tuple[str, str], set[tuple[str, str, str]]]:
    found = {}
    for spot in ordered_spots(walker):
        entries = shadows(spot.host.index.compiled, spot.way.manager, walker.how)
        found[spot.way.listener.name, spot.host.virtual_host.name] = {
            (s.kind, s.loser.route.name, s.winner.route.name if s.winner else "") for s in entries
        }
    return found


def _requestable(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a table in the form that requests are made from."""
    tables = document["configs"][1]["dynamic_route_configs"]
    hosts = [
        {"domains": host["domains"], "routes": host.get("routes", [])}
        for table in tables
        for host in table["route_config"].get("virtual_hosts", [])
        if table["route_config"]["name"] == name
    ]
    return {"virtual_hosts": hosts}


def fate(verdict: Verdict) -> tuple[Any, ...]:
    """Return what becomes of a request, rewrites included."""
    route = verdict.route
    told: tuple[Any, ...] = (
        verdict.outcome,
        route.route.name if route else None,
        verdict.status,
        verdict.location,
    )
    if verdict.outcome == "route" and route and verdict.seen and route.route.route:
        action = plain(route.route.route)
        told += (decode(upstream_path(route, action, verdict.seen)),)
        host = upstream_host(action, verdict.seen)
        told += (host and decode(host),)
    return told
