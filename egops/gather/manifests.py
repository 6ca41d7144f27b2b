"""Kubernetes objects from files: YAML, JSON, Lists, folders, globs, standard input.

Every object keeps its file and line; the line of a value inside it is found when a finding points
to it. What does not parse is a `Broken` with its place, and the rest is judged.
"""

from __future__ import annotations

import glob
import gzip
import sys
from dataclasses import dataclass, field
from functools import cached_property
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
from egops.gather.helm_values import of_file, of_release
from egops.gather.json_lines import item_spans
from egops.snapshot import Broken, Origin, Resource, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from egops.gather.yaml_documents import DocumentError
    from egops.snapshot import Kind, Path

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 1 << 30
MAX_COMPOSED = 1 << 22  # of one JSON object, to find a line in it
TEMPLATE = "a template that was not rendered (run helm template or kustomize build first)"


@dataclass
class Manifests:
    """What the files held. `foreign` counts objects of kinds that egops does not read."""

    by_kind: dict[Kind, dict[tuple[str, str], Resource]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    documents: int = 0

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
            self.broken.append(Broken(origin.file, origin.line, f"a {what} is no object"))
            return
        kind_name, api_version = value.get("kind"), value.get("apiVersion")
        if not (isinstance(kind_name, str) and isinstance(api_version, str)):
            self._add_values(value, origin)
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
        derived = list(of_file(value, origin))
        for resource in derived:
            self._keep(resource)
        if not derived:
            self.broken.append(Broken(origin.file, origin.line, _no_object(value)))

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


class _Text:
    """The text of a file, kept for the lines of findings."""

    def __init__(self, source: str | bytes) -> None:
        self.source = source

    @cached_property
    def raw(self) -> str:
        return (
            self.source.decode("utf-8", "replace")
            if isinstance(self.source, bytes)
            else self.source
        )

    @cached_property
    def lines(self) -> list[str]:
        return self.raw.splitlines(keepends=True)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        return item_spans(self.raw)

    def slice(self, start: int, end: int) -> str:
        return "".join(self.lines[start - 1 : end])

    def origin(self, file: str, start: int, end: int) -> Origin:
        """Return the origin of a YAML document that spans these lines."""

        def locate(path: Path) -> int:
            from egops.gather.yaml_documents import line_of  # noqa: PLC0415 - as below

            line = line_of(self.slice(start, end), path)
            return line + start - 1 if line else 0

        return Origin(file, start, locate)

    def json_origin(self, file: str) -> Origin:
        """Return the origin of a JSON document; its paths may lead into `items`."""
        return Origin(file, 1, self._locate_json)

    def _locate_json(self, path: Path) -> int:
        from egops.gather.yaml_documents import line_of  # noqa: PLC0415 - PyYAML is slow to load

        if len(path) > 1 and path[0] == "items" and isinstance(path[1], int):
            if path[1] >= len(self.spans):
                return 1
            start, end = self.spans[path[1]]
            before, item = self.raw[:start], self.raw[start:end]
            blank = len(item) - len(item.lstrip())
            first = before.count("\n") + item[:blank].count("\n")
            return first + line_of(item[blank:], path[2:])
        return line_of(self.raw, path) if len(self.raw) < MAX_COMPOSED else 1


def load(paths: Iterable[str]) -> Manifests:
    """Return what the files, folders, globs and `-` hold.

    Raises:
        InputError: nothing was given that exists, or nothing could be read.
    """
    found = Manifests()
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
    if raw.lstrip()[:1] in (b"{", b"["):
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # YAML's flow style looks like this too
        else:
            origin = _Text(raw).json_origin(file)
            found.documents += 1
            if isinstance(value, list):
                value = {"apiVersion": "v1", "kind": "List", "items": value}
            found.add(value, origin)
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

    kept = _Text(decoded)
    for document in documents(decoded):
        found.documents += 1
        if isinstance(document, DocumentError):
            found.broken.append(Broken(file, document.line, _explain(document, kept)))
            continue
        for key, first, second in document.duplicates:
            message = f"the key {key!r} is given twice: lines {first} and {second}"
            found.broken.append(Broken(file, second, message))
        told = len(found.broken)
        found.add(document.value, kept.origin(file, document.line, document.end))
        if len(found.broken) > told and "{{" in kept.slice(document.line, document.end):
            found.broken[told:] = [Broken(file, document.line, TEMPLATE)]


def _explain(error: DocumentError, kept: _Text) -> str:
    line = kept.lines[error.line - 1] if 0 < error.line <= len(kept.lines) else ""
    if "{{" in line or "{%" in line:
        return TEMPLATE
    return error.message


def ordered(resources: Mapping[Kind, Iterable[Resource]]) -> dict[Kind, tuple[Resource, ...]]:
    """Return the objects of each kind by namespace and name."""
    return {
        kind: tuple(sorted(found, key=lambda one: (one.namespace, one.name)))
        for kind, found in resources.items()
    }
