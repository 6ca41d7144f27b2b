"""Write `egops/upgrade/tightenings.json`: what each minor's CRDs refuse that the one before took.

    python -m tools.schemas [--check]

The CRDs come out of the releases' Go modules (the chart's `crds` folder). Only what got stricter is
kept, one entry each: removed fields, new required fields, shrunk enums, new patterns and bounds,
new CEL rules. `until` is the minor that took it back.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tools.translate.build import module_folder

TARGET = Path(__file__).parent.parent / "egops" / "upgrade" / "tightenings.json"
# the newest patch of each minor that the module proxy serves
VERSIONS = ("1.1.4", "1.2.8", "1.3.3", "1.4.3", "1.5.9", "1.6.3", "1.7.1", "1.8.3", "1.9.0")
UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
LOWER = ("minimum", "minLength", "minItems", "minProperties")
SKIP = {"EnvoyProxy": ("container", "pod", "initContainers", "patch")}  # Kubernetes' own schemas
Schema = dict[str, Any]


def crds(version: str) -> dict[str, Schema]:
    """Return the CRDs of a release by kind."""
    charts = module_folder(version) / "charts" / "gateway-helm"
    files = [*charts.rglob("crds/generated/*.yaml"), *charts.rglob("crds/gatewayapi-crds.yaml")]
    found: dict[str, Schema] = {}
    for path in sorted(files):
        for document in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader):
            if document and document.get("kind") == "CustomResourceDefinition":
                found[document["spec"]["names"]["kind"]] = document
    return found


def schema_of(crd: Schema, like: Schema | None = None) -> tuple[str, Schema]:
    """Return the version's name and schema: the stored one, or the one stored by `like`."""
    versions = crd["spec"]["versions"]
    wanted = next((v["name"] for v in (like or crd)["spec"]["versions"] if v["storage"]), "")
    for version in versions:
        if version["name"] == wanted:
            return version["name"], version["schema"]["openAPIV3Schema"]
    stored = next(version for version in versions if version["storage"])
    return stored["name"], stored["schema"]["openAPIV3Schema"]


def stricter(old: Schema, new: Schema, path: str = "") -> list[Schema]:
    """Return what a schema refuses that the old one took, at every path of the old one."""
    found = [{"path": path, **check} for check in _checks(old, new)]
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, part in before.items():
        inner = f"{path}.{name}" if path else name
        if inner in ("status", "metadata", "apiVersion", "kind"):
            continue
        if name not in after:
            if not new.get("x-kubernetes-preserve-unknown-fields"):
                found.append({"path": inner, "gone": True})
        else:
            found += stricter(part, after[name], inner)
    if "items" in old and "items" in new:
        found += stricter(old["items"], new["items"], f"{path}[]")
    extra = old.get("additionalProperties"), new.get("additionalProperties")
    if all(isinstance(part, dict) for part in extra):
        found += stricter(extra[0], extra[1], f"{path}{{}}")  # type: ignore[arg-type]
    return found


def _checks(old: Schema, new: Schema) -> list[Schema]:
    found: list[Schema] = []
    added = sorted(set(new.get("required", [])) - set(old.get("required", [])))
    known = [name for name in added if "default" not in new.get("properties", {}).get(name, {})]
    if known:
        found.append({"required": known})
    if "enum" in new:
        lost = sorted(set(map(str, old.get("enum", []))) - set(map(str, new["enum"])))
        if lost or "enum" not in old:
            found.append({"enum": new["enum"], **({"lost": lost} if lost else {})})
    if new.get("pattern") and new["pattern"] != old.get("pattern"):
        was = {"was": old["pattern"]} if old.get("pattern") else {}
        found.append({"pattern": new["pattern"], **was})
    if new.get("type") and old.get("type") and new["type"] != old["type"]:
        found.append({"type": new["type"]})
    return [*found, *_bounds(old, new), *_rules(old, new)]


def _bounds(old: Schema, new: Schema) -> list[Schema]:
    upper = [{k: new[k]} for k in UPPER if k in new and new[k] < old.get(k, float("inf"))]
    lower = [
        {k: new[k]} for k in LOWER if k in new and new[k] > old.get(k, float("-inf")) and new[k]
    ]
    if new.get("format") == "int32" and old.get("format") == "int64":
        upper.append({"maximum": 2**31 - 1})
    return [*upper, *lower]


def _rules(old: Schema, new: Schema) -> list[Schema]:
    found: list[Schema] = []
    known = {rule["rule"] for rule in old.get("x-kubernetes-validations", [])}
    for rule in new.get("x-kubernetes-validations", []):
        if rule["rule"] not in known and "oldSelf" not in rule["rule"]:
            text = " ".join(rule["rule"].split())
            defaults = dict(_defaults(new))
            entry: Schema = {"rule": text, "message": rule.get("message", "")}
            found.append({**entry, **({"defaults": defaults} if defaults else {})})
    return found


def _defaults(schema: Schema, path: str = "") -> list[tuple[str, Any]]:
    """Return the defaults of simple fields below a schema: CEL rules see them filled in."""
    found: list[tuple[str, Any]] = []
    for name, part in schema.get("properties", {}).items():
        inner = f"{path}.{name}" if path else name
        if "default" in part and not isinstance(part["default"], (dict, list)):
            found.append((inner, part["default"]))
        if inner.count(".") < 3:
            found += _defaults(part, inner)
    if "items" in schema:
        found += _defaults(schema["items"], f"{path}[]")
    return found


def at(schema: Schema, path: str) -> Schema | None:
    """Return the schema at a path, None if there is none."""
    for part in path.replace("[]", ".[]").replace("{}", ".{}").strip(".").split("."):
        if not part:
            continue
        if part == "[]":
            schema = schema.get("items", {})
        elif part == "{}":
            schema = schema.get("additionalProperties") or {}
        elif part in schema.get("properties", {}):
            schema = schema["properties"][part]
        else:
            return None
    return schema


def holds(entry: Schema, schema: Schema) -> bool:
    """Return whether a later schema is still as strict as an entry says."""
    place = at(schema, entry["path"])
    if "gone" in entry:
        return place is None
    if place is None:
        return False
    if "rule" in entry:
        rules = place.get("x-kubernetes-validations", [])
        return entry["rule"] in {" ".join(rule["rule"].split()) for rule in rules}
    if "required" in entry:
        return set(entry["required"]) <= set(place.get("required", []))
    if "enum" in entry:
        return "enum" in place and not set(entry.get("lost", [])) & set(map(str, place["enum"]))
    for key in UPPER:
        if key in entry:
            limit = place.get(key, 2**31 - 1 if place.get("format") == "int32" else None)
            return limit is not None and limit <= entry[key]
    return all(
        place.get(key) == value for key, value in entry.items() if key not in ("path", "was")
    )


def _is_kubernetes_own(kind: str, path: str) -> bool:
    return any(part in SKIP.get(kind, ()) for part in path.replace("[]", "").split("."))


def tightenings() -> list[Schema]:
    """Return all entries, in order of minor, kind and path."""
    releases = [(version, crds(version)) for version in VERSIONS]
    found = []
    for index in range(1, len(releases)):
        (_, before), (version, after) = releases[index - 1], releases[index]
        for kind in sorted(set(before) & set(after)):
            served, old = schema_of(before[kind])
            name, new = schema_of(after[kind], before[kind])
            if name != served:
                continue
            for entry in stricter(old, new):
                if _is_kubernetes_own(kind, entry["path"]):
                    continue
                until = next(
                    (
                        later
                        for later, held in releases[index + 1 :]
                        if kind in held and not holds(entry, schema_of(held[kind], before[kind])[1])
                    ),
                    None,
                )
                group = after[kind]["spec"]["group"]
                head = {"in": version, "kind": kind, "group": group}
                found.append({**head, **entry, **({"until": until} if until else {})})
    return found


def main() -> int:
    """Write the file, or with --check fail if it is stale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = "[\n" + ",\n".join(json.dumps(entry) for entry in tightenings()) + "\n]\n"
    if options.check:
        return 0 if TARGET.read_text("utf-8") == text else 1
    TARGET.write_text(text, "utf-8")
    print(f"{text.count(chr(10)) - 2} entries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
