"""Write `egops/upgrade/tightenings.json`: what each release's CRDs refuse that the one before took.

    python -m tools.schemas [--check]

The CRDs come out of the releases' Go modules (the chart's `crds` folder). Only what got stricter is
kept, one entry each: removed fields, new required fields, shrunk enums, new patterns and bounds,
new CEL rules. `changed` are the releases it came with, `back` those that took it back. Releases
that the module proxy does not serve are not read; `KNOWN` holds what their notes tell.
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
# what the module proxy serves
VERSIONS = (
    "1.0.2", "1.1.0", "1.1.4", "1.2.1", "1.2.8", "1.3.0", "1.3.2", "1.3.3", "1.4.0", "1.4.1",
    "1.4.2", "1.4.3", "1.5.0", "1.5.9", "1.6.0", "1.6.3", "1.7.0", "1.7.1", "1.7.2", "1.8.0",
    "1.8.1", "1.8.2", "1.8.3", "1.9.0", "1.9.1",
)  # fmt: skip
# the releases between those, by what is checked: when it came, when it was taken back
KNOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    r"^[!-~]+([\t ]?[!-~]+)*$": (("1.6.1", "1.7.0", "1.8.0"), ("1.6.4", "1.7.1")),
    "externalAuth": (("1.6.1", "1.7.0", "1.8.0"), ("1.6.4", "1.7.1")),
    "extAuth.backendRef": (("1.2.0",), ("1.2.2",)),
    "limit.requests": (("1.7.5", "1.8.0"), ()),
    "connectionLimit.value": (("1.2.0", "1.7.0"), ("1.6.5", "1.7.1")),
    "image without a port": (("1.5.0",), ("1.5.1",)),
}
UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
LOWER = ("minimum", "minLength", "minItems", "minProperties")
# Kubernetes' own schemas
SKIP = {
    "EnvoyProxy": (
        "env", "initContainers", "patch", "pod", "resources", "securityContext", "volumeMounts",
    )
}  # fmt: skip
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
    checks = ("pattern", "type", *LOWER)
    return all(place.get(key) == value for key, value in entry.items() if key in checks)


def _is_kubernetes_own(kind: str, path: str) -> bool:
    return any(part in SKIP.get(kind, ()) for part in path.replace("[]", "").split("."))


class History:
    """The checks found so far, each with the releases that it came with and left in."""

    def __init__(self) -> None:
        self.entries: dict[str, Schema] = {}
        self.active: dict[str, Schema] = {}

    def ends(self, version: str, held: dict[str, Schema]) -> None:
        """Take note of the checks that the CRDs of a release no longer make."""
        for key, entry in list(self.active.items()):
            crd = held.get(entry["kind"])
            if crd is not None and not holds(entry, schema_of(crd, entry["like"])[1]):
                entry["back"].append(version)
                del self.active[key]

    def begins(self, version: str, head: Schema, check: Schema, like: Schema) -> None:
        """Take note of a check that a release makes and the one before did not."""
        key = json.dumps({**head, **{k: v for k, v in check.items() if k not in ("was", "lost")}})
        fresh = {**head, **check, "changed": [], "back": [], "like": like}
        entry = self.entries.setdefault(key, fresh)
        if key not in self.active:
            entry["changed"].append(version)
            self.active[key] = entry

    def told(self) -> list[Schema]:
        """Return the entries as they are written."""
        found = []
        for entry in self.entries.values():
            known = KNOWN.get(subject(entry))
            if known is not None:
                entry["changed"], entry["back"] = map(list, known)
                entry["exact"] = True
            kept = {key: value for key, value in entry.items() if key != "like"}
            found.append({key: value for key, value in kept.items() if key != "back" or value})
        return found


def subject(entry: Schema) -> str:
    """Return what an entry is about, where `KNOWN` knows more."""
    if entry["path"].endswith("connectionLimit") and entry.get("required") == ["value"]:
        return "connectionLimit.value"
    if entry["path"].endswith("container.image") and ":[0-9]" not in str(
        entry.get("rule", ":[0-9]")
    ):
        return "image without a port"
    if entry["path"].endswith("limit.requests") and entry.get("maximum") == 2**32 - 1:
        return "limit.requests"
    if "externalAuth" in entry["path"] and entry.get("maxItems") == 64:
        return "externalAuth"
    if ".extAuth." in entry["path"] and entry.get("rule") == "!has(self.backendRef)":
        return "extAuth.backendRef"
    return str(entry.get("pattern", ""))


def tightenings() -> list[Schema]:
    """Return all entries, in the order in which they came."""
    history = History()
    before: dict[str, Schema] = {}
    for version in VERSIONS:
        after = crds(version)
        history.ends(version, after)
        for kind in sorted(set(before) & set(after)):
            served, old = schema_of(before[kind])
            name, new = schema_of(after[kind], before[kind])
            head = {"kind": kind, "group": after[kind]["spec"]["group"]}
            for check in stricter(old, new) if name == served else ():
                if not _is_kubernetes_own(kind, check["path"]):
                    history.begins(version, head, check, before[kind])
        before = after
    return history.told()


def main() -> int:
    """Write the file, or with --check fail if it is stale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    lines = ",\n".join(json.dumps(entry) for entry in tightenings())
    text = f'{{"read": {json.dumps(VERSIONS)}, "checks": [\n{lines}\n]}}\n'
    if options.check:
        return 0 if TARGET.read_text("utf-8") == text else 1
    TARGET.write_text(text, "utf-8")
    print(f"{text.count(chr(10)) - 2} entries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
