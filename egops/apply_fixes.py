"""Carry out the patches of findings: as kustomize patches, or as edits of the manifests in place.

Edits keep comments and order: ruamel.yaml changes the one value, everything else stays as written.
"""

from __future__ import annotations

import difflib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML  # noqa: TID253 - this module's purpose; loaded only for fixes
from ruamel.yaml.error import YAMLError  # noqa: TID253 - as above

from egops.errors import InputError
from egops.gatewayapi import ENVOY_GATEWAY, HELM_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egops.finding import Finding

OWN = (ENVOY_GATEWAY, HELM_VALUES)  # kinds of ours: parts of a config map or of values


@dataclass(frozen=True)
class Edit:
    """The new text of a file, and the difference to the old one."""

    path: Path
    text: str
    diff: str


def write_fixes(findings: Iterable[Finding], folder: str) -> list[Path]:
    """Write each patch into a file of `folder`, and the kustomization that applies them.

    Raises:
        InputError: the folder can't be written.
    """
    target = Path(folder)
    resources: list[str] = []
    patches: list[str] = []
    written: list[Path] = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for finding in findings:
            if not finding.problem.fix_patch or finding.at.ref.kind in OWN:
                continue
            ref = finding.at.ref
            name = f"{finding.code.lower()}-{finding.fingerprint[:6]}-{ref.name}.yaml"
            path = target / name
            note = f"# {finding.code} {ref}: {finding.problem.message}\n"
            path.write_text(note + finding.problem.fix_patch, "utf-8")
            (patches if _is_patch(finding) else resources).append(name)
            written.append(path)
        path = target / "kustomization.yaml"
        path.write_text(_kustomization(resources, patches), "utf-8")
    except OSError as exc:
        raise InputError(f"cannot write to {folder}: {exc.strerror or exc}") from None
    return [*written, path]


def _is_patch(finding: Finding) -> bool:
    """Return whether the patch is for the object itself, not a new object."""
    value = _safe(finding.problem.fix_patch)
    metadata = value.get("metadata") or {}
    ref = finding.at.ref
    return (value.get("kind"), metadata.get("name")) == (ref.kind.name, ref.name)


def _kustomization(resources: list[str], patches: list[str]) -> str:
    lines = ["apiVersion: kustomize.config.k8s.io/v1alpha1", "kind: Component"]
    for key, names in (("resources", resources), ("patches", [f"path: {n}" for n in patches])):
        if names:
            lines += [f"{key}:", *(f"- {name}" for name in names)]
    return "\n".join(lines) + "\n"


def edits(findings: Iterable[Finding]) -> list[Edit]:
    """Return the edits that carry out every patch of an object read from a YAML file."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        file = finding.at.file
        if file in ("", "-") or not finding.problem.fix_patch or not _is_patch(finding):
            continue
        if finding.at.ref.kind not in OWN and not file.endswith((".json", ".gz")):
            by_file.setdefault(file, []).append(finding)
    made = (_edit(Path(file), found) for file, found in sorted(by_file.items()))
    return [edit for edit in made if edit is not None]


def _edit(path: Path, findings: list[Finding]) -> Edit | None:
    old = path.read_text("utf-8")
    patches = [_safe(finding.problem.fix_patch) for finding in findings]
    try:
        new = "".join(_document(text, patches) for text in _documents(old))
    except YAMLError as exc:
        raise InputError(f"cannot edit {path}: {exc}".split("\n", 1)[0]) from None
    if new == old:
        return None
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), str(path), str(path)
    )
    return Edit(path, new, "".join(lines))


def _documents(text: str) -> list[str]:
    """Return the documents of a file with their separators: only changed ones are written anew."""
    return [part for part in re.split(r"(?m)^(?=---(?:\s|$))", text) if part]


def _document(text: str, patches: list[dict[str, Any]]) -> str:
    """Return the text of one document after the patches that are for it."""
    head, _, body = text.rpartition("---\n") if text.startswith("---\n") else ("", "", text)
    separator = "---\n" if text.startswith("---\n") else ""
    if head or not any(str(patch["metadata"].get("name")) in text for patch in patches):
        return text
    yaml = _round_trip(body)
    value = yaml.load(body)
    mine = [patch for patch in patches if isinstance(value, dict) and _same(value, patch)]
    if not mine:
        return text
    for patch in mine:
        merge(value, patch)
    stream = io.StringIO()
    yaml.dump(value, stream)
    return separator + stream.getvalue()


def _round_trip(text: str) -> Any:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    if re.search(r"(?m)^( *)[^\s#-][^\n]*:[ ]*(?:#[^\n]*)?\n\1  - ", text):
        yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _safe(text: str) -> dict[str, Any]:
    value = YAML(typ="safe", pure=True).load(text)
    return value if isinstance(value, dict) else {}


def _same(document: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
    one, other = document.get("metadata") or {}, patch.get("metadata") or {}
    return (
        document.get("kind") == patch.get("kind")
        and one.get("name") == other.get("name")
        and (one.get("namespace") or "default") == (other.get("namespace") or "default")
    )


def merge(place: Any, patch: Mapping[str, Any]) -> None:
    """Merge a patch into a document: null deletes, lists change entry by entry where they can."""
    for key, value in patch.items():
        if key in ("apiVersion", "kind", "metadata"):
            continue
        if value is None:
            place.pop(key, None)
        elif isinstance(value, dict) and isinstance(place.get(key), dict):
            merge(place[key], value)
        elif isinstance(value, list) and isinstance(place.get(key), list):
            _merge_list(place[key], value)
        else:
            place[key] = value


def _merge_list(place: list[Any], wanted: list[Any]) -> None:
    """Make one list the other: change the entries that differ, drop the ones that are gone."""
    index = 0
    while index < len(place):
        gone = len(place) > len(wanted) and (
            index >= len(wanted) or not _alike(place[index], wanted[index])
        )
        if gone:
            del place[index]
            continue
        if index < len(wanted) and place[index] != wanted[index]:
            if isinstance(place[index], dict) and isinstance(wanted[index], dict):
                _become(place[index], wanted[index])
            else:
                place[index] = wanted[index]
        index += 1
    place.extend(wanted[index:])


def _alike(one: Any, other: Any) -> bool:
    """Return whether two entries are the same one: equal, or with most values in common."""
    if one == other:
        return True
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    shared = [key for key in one if key in other and one[key] == other[key]]
    return bool(shared) or set(one) == set(other) == {"backendRefs"}


def _become(place: Any, wanted: Mapping[str, Any]) -> None:
    for key in [key for key in place if key not in wanted]:
        del place[key]
    for key, value in wanted.items():
        if key in place and isinstance(place[key], dict) and isinstance(value, dict):
            _become(place[key], value)
        elif key in place and isinstance(place[key], list) and isinstance(value, list):
            _merge_list(place[key], value)
        elif place.get(key) != value:
            place[key] = value


def write(found: Iterable[Edit]) -> None:
    """Write the edited files."""
    for edit in found:
        edit.path.write_text(edit.text, "utf-8")
