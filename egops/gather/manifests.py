"""Kubernetes objects from files: YAML, JSON, Lists, folders, globs, standard input.

Every object keeps its file and line; the line of a value inside it is found when a finding points
to it. What does not parse is a `Broken` with its place, and the rest is judged.
"""

from __future__ import annotations

import glob
import gzip
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import orjson

from egops.errors import InputError
from egops.gatewayapi import (
    APPLICATION,
    CONFIG_MAP,
    CONFIG_NAME,
    ENVOY_GATEWAY,
    HELM_RELEASE,
    PARSE_ERROR,
    kind_of,
)
from egops.gather.beside import (
    CHART,
    OTHER,
    TEMPLATE,
    folder,
    is_placeholder,
    is_template,
    our_keys,
    recognised,
)
from egops.gather.helm_values import of_file, of_release
from egops.gather.source_text import SourceText
from egops.snapshot import Broken, Origin, Resource, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from egops.gather.yaml_documents import DocumentError
    from egops.snapshot import Kind, Path

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 1 << 30
_COMMENT = re.compile(r"^\s*//|/\*|[,\[{]\s*//", re.MULTILINE)


@dataclass
class Manifests:
    """What the files held.

    `foreign` counts objects of kinds that egops does not read; `passed_over` has the places of what
    is no object, by the reason. `named` are the files that the user named one by one.
    """

    by_kind: dict[Kind, dict[tuple[str, str], Resource]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    documents: int = 0
    passed_over: dict[str, list[str]] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    charts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def resources(self) -> dict[Kind, tuple[Resource, ...]]:
        """Return the objects of each kind, ordered by namespace and name."""
        return {
            kind: tuple(found[key] for key in sorted(found)) for kind, found in self.by_kind.items()
        }

    def add(self, value: Any, origin: Origin) -> None:
        """Take one document: an object, a List, or something else (which is told)."""
        if not isinstance(value, dict):
            what = type(value).__name__
            self._add_other(value, origin, f"a {what} is no object")
            return
        kind_name, api_version = value.get("kind"), value.get("apiVersion")
        if not (isinstance(kind_name, str) and isinstance(api_version, str)):
            self._add_values(value, origin)
            return
        if is_placeholder(value):
            self.pass_over(TEMPLATE, origin)
            return
        if kind_name.endswith("List") and isinstance(entries := value.get("items"), list):
            self._add_list(entries, kind_name.removesuffix("List"), api_version, origin)
            return
        kind = kind_of(api_version.rpartition("/")[0], kind_name)
        if kind is not None:
            self._keep(Resource(kind, value, origin))
        else:
            label = ".".join(part for part in (kind_name, api_version.rpartition("/")[0]) if part)
            self.foreign[label] = self.foreign.get(label, 0) + 1

    def _add_values(self, value: dict[str, Any], origin: Origin) -> None:
        """Take a document that is no object: values of our chart, or nothing of ours."""
        derived = list(of_file(value, origin, self.charts.get(folder(origin.file), ())))
        for resource in derived:
            self._keep(resource)
        if not derived:
            self._add_other(value, origin, _no_object(value))

    def _add_other(self, value: Any, origin: Origin, message: str) -> None:
        """Pass over what is no object and may lie here, tell of the rest."""
        reason = recognised(origin.file, value, is_named=origin.file in self.named)
        if reason == CHART and isinstance(value, dict):
            self.charts[folder(origin.file)] = our_keys(value)
        if reason:
            self.pass_over(reason, origin)
        else:
            self.broken.append(Broken(origin.file, origin.line, message))

    def pass_over(self, reason: str, origin: Origin) -> None:
        """Note that something was left out, and why."""
        place = f"{origin.file}:{origin.line}" if origin.line > 1 else origin.file
        self.passed_over.setdefault(reason, []).append(place)

    def _add_list(self, entries: list[Any], kind: str, api_version: str, origin: Origin) -> None:
        for index, entry in enumerate(entries):
            if isinstance(entry, dict) and kind and "kind" not in entry:
                # the API leaves kind and apiVersion out of the items of a typed list
                entry = {"apiVersion": api_version, "kind": kind, **entry}
            self.add(entry, Origin(origin.file, 0, _Inside(origin, index)))

    def _keep(self, resource: Resource) -> None:
        name = resource.name
        if not name:
            if text(resource.metadata, "generateName"):
                return
            message = f"{resource.kind.name} without metadata.name"
            self.broken.append(Broken(resource.origin.file, resource.origin.line, message))
            return
        known = self.by_kind.setdefault(resource.kind, {})
        first = known.setdefault((resource.namespace, name), resource)
        if first is not resource:
            if first.body != resource.body:
                here, there = resource.origin, first.origin
                message = (
                    f"{resource.ref} is given twice and differs; the one at "
                    f"{there.file}:{there.line_of(())} is judged"
                )
                self.broken.append(Broken(here.file, here.line_of(()), message))
            return
        if name == CONFIG_NAME and resource.kind == CONFIG_MAP:
            self._keep(envoy_gateway_config(resource))
        if resource.kind in (HELM_RELEASE, APPLICATION):
            for derived in of_release(resource):
                self._keep(derived)


class _Inside:
    """Finds lines inside an item of a List, through the List's path."""

    __slots__ = ("index", "outer")

    def __init__(self, outer: Origin, index: int) -> None:
        self.outer = outer
        self.index = index

    def __call__(self, path: Path) -> int:
        return self.outer.line_of(("items", self.index, *path))


def _no_object(value: dict[str, Any]) -> str:
    missing = " and ".join(key for key in ("apiVersion", "kind") if not text(value, key))
    keys = ", ".join(str(key) for key in list(value)[:4])
    return f"no Kubernetes object: {missing} missing (it has {keys or 'no keys'})"


def envoy_gateway_config(config_map: Resource) -> Resource:
    """Return the EnvoyGateway configuration in a config map as an object of its own.

    Text that is not YAML gives an object with the annotation `egops.dev/parse-error`.
    """
    from egops.gather.yaml_documents import (  # noqa: PLC0415 - PyYAML is slow to load
        DocumentError,
        documents,
    )

    body: Any = None
    error = ""
    written = text(config_map.body, "data", "envoy-gateway.yaml")
    for document in documents(written):
        if isinstance(document, DocumentError):
            error = f"line {document.line}: {document.message}"
        elif body is None:
            body = document.value
    if not isinstance(body, dict):
        error = error or "envoy-gateway.yaml holds no mapping"
        body = {}
    metadata = {
        "name": config_map.name,
        "namespace": config_map.namespace,
        "annotations": {PARSE_ERROR: error} if error else {},
    }
    return Resource(ENVOY_GATEWAY, {**body, "metadata": metadata}, config_map.origin)


def load(paths: Iterable[str]) -> Manifests:
    """Return what the files, folders, globs and `-` hold.

    Raises:
        InputError: nothing was given that exists, or nothing could be read.
    """
    paths = list(paths)
    found = Manifests(named=frozenset(paths))
    for file in expand(paths, found.broken):
        try:
            raw = read_bytes(file)
        except InputError as exc:
            found.broken.append(Broken(file, 0, exc.message))
            continue
        _load_text(raw, file, found)
    return found


def expand(paths: Iterable[str], broken: list[Broken]) -> Iterator[str]:
    """Yield the files that the user named, folders opened, each file once."""
    seen: set[tuple[int, int]] = set()
    for given in paths:
        if given == "-":
            yield given
            continue
        matches = _matches(given)
        if not matches:
            raise InputError(f"no file matches {given}")
        for match in matches:
            yield from _walk(FilePath(match), seen, broken, named=True)


def _matches(given: str) -> list[str]:
    if not glob.has_magic(given):
        return [given]
    return sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute ones


def _walk(
    path: FilePath, seen: set[tuple[int, int]], broken: list[Broken], *, named: bool
) -> Iterator[str]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        if named:
            raise InputError(f"{path} does not exist") from None
        broken.append(Broken(str(path), 0, "a link that leads nowhere"))
        return
    except OSError as exc:
        broken.append(Broken(str(path), 0, exc.strerror or str(exc)))
        return
    identity = (stat.st_dev, stat.st_ino)
    if identity in seen:  # a link back up: a folder loop
        return
    seen.add(identity)
    if path.is_dir():
        try:
            children = sorted(path.iterdir())
        except OSError as exc:
            broken.append(Broken(str(path), 0, exc.strerror or str(exc)))
            return
        for child in children:
            if not child.name.startswith(".") and (child.is_dir() or child.suffix in SUFFIXES):
                yield from _walk(child, seen, broken, named=False)
    elif named or path.suffix in SUFFIXES:
        yield str(path)


def read_bytes(file: str, limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a file or of standard input (`-`), unpacked if gzipped.

    Raises:
        InputError: it can't be read, unpacked, or is over the limit.
    """
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(limit + 1)
        else:
            with FilePath(file).open("rb") as stream:
                raw = stream.read(limit + 1)
        if raw[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=_buffer(raw)) as unpacked:
                raw = unpacked.read(limit + 1)
    except (EOFError, gzip.BadGzipFile, OSError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        name = "standard input" if file == "-" else file
        raise InputError(f"cannot read {name}: {reason}") from None
    if len(raw) > limit:
        name = "standard input" if file == "-" else file
        raise InputError(
            f"{name} is larger than {limit >> 20} MiB",
            hint="save the parts you need: /config_dump?resource=dynamic_route_configs",
        )
    return raw


def _buffer(raw: bytes) -> Any:
    from io import BytesIO  # noqa: PLC0415 - only for gzipped input

    return BytesIO(raw)


def _load_text(raw: bytes, file: str, found: Manifests) -> None:
    if raw.lstrip()[:1] in (b"{", b"[") and _load_json(raw, file, found):
        return
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        found.broken.append(Broken(file, line, "the text is not UTF-8"))
        return
    from egops.gather.yaml_documents import (  # noqa: PLC0415 - PyYAML is slow to load
        DocumentError,
        documents,
    )

    kept = SourceText(decoded)
    for document in documents(decoded):
        found.documents += 1
        if isinstance(document, DocumentError):
            _tell(document, kept, file, found)
            continue
        for key, first, second in document.duplicates:
            message = f"the key {key!r} is given twice: lines {first} and {second}"
            found.broken.append(Broken(file, second, message))
        told, others = len(found.broken), len(found.passed_over.get(OTHER, ()))
        found.add(document.value, kept.origin(file, document.line, document.end))
        if len(found.passed_over.get(OTHER, ())) > others:
            _reconsider(kept.slice(document.line, document.end), document.line, file, found)
        if len(found.broken) > told:
            _explain(kept.slice(document.line, document.end), document.line, file, found, told)


def _load_json(raw: bytes, file: str, found: Manifests) -> bool:
    """Take JSON; return False if it is none: YAML's flow style looks like it too."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    kept = SourceText(raw)
    found.documents += 1
    if raw.count(b'"') != orjson.dumps(value).count(b'"'):
        _tell_duplicates(kept, file, found)
    if isinstance(value, list):
        value = {"apiVersion": "v1", "kind": "List", "items": value}
    found.add(value, kept.json_origin(file))
    return True


def _tell_duplicates(kept: SourceText, file: str, found: Manifests) -> None:
    """Tell of keys that JSON has twice: the parser keeps the last one, so quotes are missing."""
    from egops.gather.yaml_documents import Document, documents  # noqa: PLC0415 - as above

    for document in documents(kept.raw):
        for key, first, second in document.duplicates if isinstance(document, Document) else ():
            message = f"the key {key!r} is given twice: lines {first} and {second}"
            found.broken.append(Broken(file, second, message))


def _tell(error: DocumentError, kept: SourceText, file: str, found: Manifests) -> None:
    """Tell of a document that does not parse."""
    start, end = kept.around(error.line)
    told = len(found.broken)
    found.broken.append(Broken(file, error.line, error.message))
    _explain(kept.slice(start, end), error.line, file, found, told)


def _reconsider(chunk: str, line: int, file: str, found: Manifests) -> None:
    """Call a document that was passed over as no object a template if it is one."""
    if is_template(chunk):
        found.passed_over[OTHER].pop()
        if not found.passed_over[OTHER]:
            del found.passed_over[OTHER]
        _leave_template(file, line, found)


def _explain(chunk: str, line: int, file: str, found: Manifests, told: int) -> None:
    """Say what a document is that made a mistake: a template, JSON with comments."""
    if is_template(chunk):
        del found.broken[told:]
        _leave_template(file, line, found)
    elif chunk.lstrip()[:1] in ("{", "[") and _COMMENT.search(chunk):
        message = "JSON with comments, which neither JSON nor YAML allows: remove them"
        found.broken[told:] = [Broken(file, line, message)]


def _leave_template(file: str, line: int, found: Manifests) -> None:
    if file in found.named:  # somebody meant it to be judged
        found.broken.append(Broken(file, line, TEMPLATE))
    else:
        found.pass_over(TEMPLATE, Origin(file, line))


def ordered(resources: Mapping[Kind, Iterable[Resource]]) -> dict[Kind, tuple[Resource, ...]]:
    """Return the objects of each kind by namespace and name."""
    return {
        kind: tuple(sorted(found, key=lambda one: (one.namespace, one.name)))
        for kind, found in resources.items()
    }
