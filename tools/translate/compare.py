"""Recall and precision of the upgrade rules against both translators.

    python -m tools.translate.compare --from 1.2.8 --to 1.3.0 [FILE or FOLDER…]

Without files it generates the project's own corpus (`corpus.py`); `--upstream` adds the inputs of
the translators' own tests, out of the Go module. An input counts as changed if the meaning of what
the two releases publish differs; it should have a finding then, and no finding at or above warning
otherwise. What every input changes (the empty outlier detection, the default access log) is left
out on both sides, EGU-1303 and the mass part of EGU-1327 with it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egops.engine import Options, run
from egops.finding import Finding, Severity
from egops.gather.manifests import Manifests, ordered
from egops.gather.yaml_documents import Document, documents
from egops.rules.registry import upgrade_rules
from egops.snapshot import Origin, Snapshot, Source, SourceType, Upgrade
from egops.upgrade.releases import named
from egops.upgrade.select import rules_of
from tools.translate.build import module_folder, oracle
from tools.translate.corpus import corpus, mixed
from tools.translate.meaning import differences, meaning
from tools.translate.tree import objects_of, tree_of
from tools.translate.upstream import with_services

OUTSIDE = {
    "EGU-0010",
    "EGU-0015",
    "EGU-1301",
    "EGU-1304",
    "EGU-1306",
    "EGU-1308",
    "EGU-1314",
    "EGU-1315",
    "EGU-1323",
}
# judged by the API server, the provider, the infrastructure or Envoy itself: no translator's matter
EVERYWHERE = {"EGU-0014", "EGU-1301", "EGU-1326", "EGU-1327"}
AT_GATEWAY = {"EGU-1425", "EGU-1724", "EGU-1828"}
# infos said of every installation, and those at a listener that are not


def judge(objects: list[dict[str, Any]], start: str, end: str) -> list[Finding]:
    """Return what the rules of a step say of objects given as files."""
    manifests = Manifests()
    for body in objects:
        manifests.add(body, Origin())
    step = Upgrade(named(start), named(end))
    snapshot = Snapshot(
        datetime.now(UTC),
        Source(SourceType.FILES),
        resources=ordered(manifests.resources),
        upgrade=step,
    )
    rules = rules_of(upgrade_rules(), step)
    report = run(rules, snapshot, Options(command="upgrade-check"))
    for crash in report.crashed:
        print(crash.code, crash.error, crash.traceback, file=sys.stderr)
    return [*report.findings, *(fold.finding for fold in report.folded)]


def translate(version: str, folder: Path, inputs: list[Path]) -> dict[str, dict[str, Any]]:
    """Return the oracle's answers by the input's name; what is in the folder already is kept."""
    out = folder / version
    out.mkdir(exist_ok=True)
    open_ones = [path for path in inputs if not (out / f"{path.name}.json").exists()]
    for start in range(0, len(open_ones), 50):
        part = [str(path) for path in open_ones[start : start + 50]]
        subprocess.run([str(oracle(version)), str(out), *part], check=False)
    answers = {path.name: out / f"{path.name}.json" for path in inputs}
    return {
        name: json.loads(path.read_text("utf-8")) for name, path in answers.items() if path.exists()
    }


def trees(paths: list[Path]) -> dict[str, dict[str, Any]]:
    """Return the resource trees in files: trees themselves, or Kubernetes objects."""
    found = {}
    for path in paths:
        values = [
            document.value
            for document in documents(path.read_text("utf-8"))
            if isinstance(document, Document) and isinstance(document.value, dict)
        ]
        if not values:
            continue
        found[path.name] = values[0] if "kind" not in values[0] else tree_of(values)
    return found


def main() -> int:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="start", default="1.2.8")
    parser.add_argument("--to", dest="end", default="1.3.0")
    parser.add_argument("--upstream", action="store_true")
    parser.add_argument("--verbose", "-v", action="store_true")
    parser.add_argument("--mixed", type=int, default=0, help="so many inputs of several cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-corpus", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder that keeps the inputs and answers")
    parser.add_argument("paths", nargs="*", type=Path)
    options = parser.parse_args()
    files = [f for p in options.paths for f in (sorted(p.rglob("*.yaml")) if p.is_dir() else [p])]
    inputs = trees(files)
    if options.upstream:
        folder = module_folder(options.start) / "internal/gatewayapi/testdata"
        own = trees(sorted(folder.glob("*.in.yaml")))
        inputs.update({f"{options.start} {name}": with_services(t) for name, t in own.items()})
    if not options.no_corpus:
        inputs.update({name: tree_of(objects) for name, objects in corpus().items()})
    several = mixed(options.mixed, options.seed)
    inputs.update({name: tree_of(objects) for name, objects in several.items()})
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        return compare(inputs, options.start, options.end, folder, verbose=options.verbose)


def _written(inputs: dict[str, dict[str, Any]], folder: Path) -> list[Path]:
    """Write the inputs into a folder; those that it has already take the place of the new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, tree in inputs.items():
        path = folder / key
        if path.exists():
            inputs[key] = json.loads(path.read_text("utf-8"))
        else:
            path.write_text(json.dumps(tree), "utf-8")
    return [folder / key for key in inputs]


def compare(
    inputs: dict[str, dict[str, Any]], start: str, end: str, folder: Path, *, verbose: bool
) -> int:
    """Translate, judge, count; return 0 if recall is complete and precision at least 95 %."""
    paths = _written(inputs, folder / "in")
    before, after = (translate(version, folder, paths) for version in (start, end))
    counts: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for key, tree in inputs.items():
        if key not in before or key not in after or _is_lost(before[key], after[key]):
            counts["not translated"] += 1
            continue
        found = differences(meaning(before[key]), meaning(after[key]))
        findings = [f for f in judge(objects_of(tree), start, end) if not _is_mass(f)]
        loud = [f for f in findings if f.severity >= Severity.WARNING and not _is_outside(f)]
        codes.update({finding.code for finding in loud})
        kind = _kind(bool(found), loud, findings)
        counts[kind] += 1
        if kind not in ("true positive", "true negative") or (verbose and found):
            _show(key, kind, found, findings)
    return _table(counts, codes)


def _is_lost(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether nothing can be compared: no input, or both panic before they write a word."""
    return bool(before.get("error")) or bool(before.get("panic") and after.get("panic"))


def _is_mass(finding: Finding) -> bool:
    """Return whether a finding tells of what every input changes."""
    if finding.code == "EGU-1303":
        return finding.at.ref.kind.name != "EnvoyPatchPolicy"
    is_info = finding.severity == Severity.INFO
    if finding.code == "EGU-1316":
        return is_info and finding.at.ref.kind.name != "HTTPRoute"
    of_all = finding.at.ref.kind.name in ("GatewayClass", "Gateway", "Deployment")
    return is_info and (finding.code in EVERYWHERE or (of_all and finding.code not in AT_GATEWAY))


def _is_outside(finding: Finding) -> bool:
    """Return whether a finding is about what translators can't show."""
    types = finding.code == "EGU-1327" and "stop being strings" in finding.problem.message
    return types or finding.code in OUTSIDE


def _kind(changed: bool, loud: list[Finding], findings: list[Finding]) -> str:  # noqa: FBT001
    if changed:
        if loud:
            return "true positive"
        return "told as info" if findings else "missed"
    return "false positive" if loud else "true negative"


def _show(key: str, kind: str, found: list[str], findings: list[Finding]) -> None:
    print(f"{kind}: {key}")
    for line in found[:6]:
        print(f"    {line}")
    for finding in findings:
        if finding.severity >= Severity.WARNING or kind == "told as info":
            print(f"    {finding.severity} {finding.code} {finding.problem.message}")


def _table(counts: Counter[str], codes: Counter[str]) -> int:
    for kind, count in sorted(counts.items()):
        print(f"{kind:16} {count:5}")
    print(
        "inputs by code: " + ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
    )
    told = counts["true positive"] + counts["told as info"]
    changed = told + counts["missed"]
    loud = counts["true positive"] + counts["false positive"]
    recall = told / changed if changed else 1.0
    precision = counts["true positive"] / loud if loud else 1.0
    print(f"recall {recall:.1%} ({told}/{changed}), precision {precision:.1%}")
    return 0 if recall == 1.0 and precision >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
