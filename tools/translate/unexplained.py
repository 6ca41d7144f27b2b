"""What no upgrade rule explains between two releases: `EGU-0001` over the project's own corpus.

    python -m tools.translate.unexplained --from 1.2.8 --to 1.3.0 [--sample 4] [FILE or FOLDER…]

Each input is translated by both releases, the answers become proxies before and after, and the rule
is asked as `egops upgrade-check --before --after` does. What it says is a rule that is missing, or
one that says too little about whom it concerns.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egops.engine import Options, run
from egops.finding import Severity
from egops.gather.draft import Draft
from egops.gather.manifests import Manifests, ordered
from egops.rules.registry import upgrade_rules
from egops.rules.upgrade.unexplained_translation_difference import (
    unexplained_translation_difference as rule,
)
from egops.snapshot import Origin, Probe, Proxy, Snapshot, Source, SourceType, Upgrade
from egops.upgrade.compared import all_effects, explained
from egops.upgrade.releases import named
from egops.upgrade.select import rules_of
from tools.translate.compare import translate, trees
from tools.translate.corpus import corpus, mixed
from tools.translate.tree import objects_of, tree_of

ADMIN = "type.googleapis.com/envoy.admin.v3"
Json = dict[str, Any]


def proxies(answer: Json) -> tuple[Proxy, ...]:
    """Return a proxy for each Gateway that an answer publishes something for."""
    found = []
    for key, types in answer.get("xds", {}).items():
        if key in answer.get("irErrors", {}) or "panic" in answer["xdsErrors"].get(key, ""):
            continue  # withheld: the proxies keep what they had
        draft = Draft(key)
        draft.keep(Probe.CONFIG_DUMP, json.dumps(dump_of(types)).encode())
        draft.keep(Probe.SERVER_INFO, json.dumps({"node": {"cluster": key}}).encode())
        found.append(draft.frozen(Proxy, ()))
    return tuple(found)


def dump_of(types: Json) -> Json:
    """Return the resources that a translator publishes as Envoy would show them."""
    by_kind = {kind.rpartition(".")[2]: resources for kind, resources in types.items()}

    def listed(section: str, key: str, kind: str, field: str) -> Json:
        entries = [{"name": one.get("name", ""), field: one} for one in by_kind.get(kind, [])]
        if kind == "Listener":
            entries = [{"name": e["name"], "active_state": {field: e[field]}} for e in entries]
        return {"@type": f"{ADMIN}.{section}ConfigDump", key: entries}

    return {
        "configs": [
            listed("Listeners", "dynamic_listeners", "Listener", "listener"),
            listed("Routes", "dynamic_route_configs", "RouteConfiguration", "route_config"),
            listed("Clusters", "dynamic_active_clusters", "Cluster", "cluster"),
            listed(
                "Endpoints", "dynamic_endpoint_configs", "ClusterLoadAssignment", "endpoint_config"
            ),
            listed("Secrets", "dynamic_active_secrets", "Secret", "secret"),
        ]
    }


def compared(objects: list[Json], step: Upgrade, before: Json, after: Json) -> Snapshot:
    """Return the later state of objects, which knows the earlier one and what was predicted."""
    manifests = Manifests()
    for body in objects:
        manifests.add(body, Origin())
    past = Snapshot(
        datetime.now(UTC),
        Source(SourceType.FILES),
        resources=ordered(manifests.resources),
        proxies=proxies(before),
        upgrade=step,
    )
    report = run(rules_of(upgrade_rules(), step), past, Options(command="upgrade-check"))
    predicted = (*report.findings, *(fold.finding for fold in report.folded))
    return replace(past, proxies=proxies(after), before=past, predicted=predicted)


def judge(inputs: dict[str, Json], start: str, end: str) -> Counter[str]:
    """Translate, ask and print what is unexplained; return the counts."""
    step = Upgrade(named(start), named(end))
    counts: Counter[str] = Counter()
    patterns: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = []
        (folder / "in").mkdir()
        for number, tree in enumerate(inputs.values()):
            path = folder / "in" / str(number)
            path.write_text(json.dumps(tree), "utf-8")
            paths.append(path)
        before, after = (translate(version, folder, paths) for version in (start, end))
    for number, (key, tree) in enumerate(inputs.items()):
        one, other = before.get(str(number), {}), after.get(str(number), {})
        if not (one.get("xds") and other.get("xds")):
            counts["not compared"] += 1
            continue
        snapshot = compared(objects_of(tree), step, one, other)
        report = run([rule], snapshot)
        for crash in report.crashed:
            print(crash.traceback, file=sys.stderr)
        if not report.judged:
            counts["not compared"] += 1
            continue
        counts["differences"] += len(all_effects(snapshot))
        counts["explained"] += sum(bool(by) for _, by in explained(snapshot))
        loud = [each for each in report.findings if each.severity > Severity.INFO]
        counts["inputs"] += 1
        counts["inputs with an unexplained difference"] += bool(loud)
        for each in loud:
            patterns[each.problem.message] += 1
            print(f"{key}: {each.at.ref}: {each.problem.message}"[:400])
    return counts


def main() -> int:
    """Run the search; return 0 if every difference is explained."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="start", default="1.2.8")
    parser.add_argument("--to", dest="end", default="1.3.0")
    parser.add_argument("--sample", type=int, default=1, help="every n-th input alone")
    parser.add_argument("--mixed", type=int, default=0, help="so many inputs of several cases")
    parser.add_argument("--no-corpus", action="store_true")
    parser.add_argument("paths", nargs="*", type=Path)
    options = parser.parse_args()
    files = [f for p in options.paths for f in (sorted(p.rglob("*.yaml")) if p.is_dir() else [p])]
    inputs = trees(files)
    if not options.no_corpus:
        inputs.update({name: tree_of(objects) for name, objects in corpus().items()})
    inputs.update({name: tree_of(objects) for name, objects in mixed(options.mixed).items()})
    chosen = dict(list(inputs.items())[:: options.sample])
    counts = judge(chosen, options.start, options.end)
    for what, count in counts.items():
        print(f"{what:40} {count:6}")
    return 1 if counts["inputs with an unexplained difference"] else 0


if __name__ == "__main__":
    sys.exit(main())
