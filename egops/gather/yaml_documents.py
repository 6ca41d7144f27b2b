"""YAML text to plain JSON values, as Kubernetes reads it, with lines on demand.

libyaml composes the nodes; a small constructor of our own makes plain values of them: no dates, no
base-60 numbers, duplicate keys told, aliases shared, bombs and self-containing anchors refused.
Positions are not kept: a document that a finding points to is composed again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml  # noqa: TID253 - the one module that reads YAML; loaded only with the files source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path

MAX_VALUES = 2_000_000  # in one document, aliases expanded

_STR, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_BOOL, _INT, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_SEQ, _MAP, _MERGE = "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "tag:yaml.org,2002:merge"
_TRUE = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_NULLS = {"", "~", "null", "Null", "NULL"}
_WORDS = {
    **dict.fromkeys(_TRUE, _BOOL),
    **dict.fromkeys(_FALSE, _BOOL),
    **dict.fromkeys(_NULLS, _NULL),
    "<<": _MERGE,
}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)$")
_REAL = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*)?\.[0-9_]+|[0-9][0-9_]*\.?)(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
_NUMERIC = set("0123456789-+.")


class DocumentError(Exception):
    """A document that can't be read; `line` counts from 1 in the whole text."""

    def __init__(self, line: int, message: str) -> None:
        """Take the line and one clause."""
        super().__init__(message)
        self.line = line
        self.message = message


class _Loader(yaml.CSafeLoader):
    """libyaml's composer with Kubernetes' idea of scalars."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of an untagged node."""
        if kind is yaml.ScalarNode:
            if not implicit[0]:
                return _STR
            return _WORDS.get(value) or (_number_tag(value) if value[0] in _NUMERIC else _STR)
        return _SEQ if kind is yaml.SequenceNode else _MAP


def _number_tag(value: str) -> str:
    if _INTEGER.match(value):
        return _INT
    return _FLOAT if _REAL.match(value) else _STR


@dataclass(frozen=True)
class Document:
    """One document: its value, the lines it spans (from 1), and what is odd in it."""

    value: Any
    line: int
    end: int
    duplicates: tuple[tuple[str, int, int], ...] = ()  # key, first line, second line


def documents(text: str) -> Iterator[Document | DocumentError]:
    """Yield the documents of a text; one that does not parse is a DocumentError, the rest go on."""
    done = 0
    try:
        for document in _compose_all(text, 0):
            done += 1
            yield document
    except DocumentError:
        # libyaml can't go on after an error: read the remaining documents one by one
        for index, (offset, chunk) in enumerate(_chunks(text)):
            if index < done:
                continue
            try:
                yield from _compose_all(chunk, offset)
            except DocumentError as exc:
                yield exc


def _chunks(text: str) -> list[tuple[int, str]]:
    """Return the documents that hold anything, each with the lines before it."""
    found: list[tuple[int, str]] = []
    start, lines = 0, text.splitlines(keepends=True)
    for index, line in enumerate([*lines, "---\n"]):
        if line.startswith("---") and (len(line) == 3 or line[3:4].isspace()):
            chunk = lines[start:index]
            if any(part.strip() and not part.lstrip().startswith("#") for part in chunk):
                found.append((start, "".join(chunk)))
            start = index + 1
    return found


def _compose_all(text: str, offset: int) -> Iterator[Document]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node: Any = loader.get_node()
            if node.tag == _NULL and node.value == "":
                continue
            maker = _Maker(offset)
            value = maker.make(node)
            yield Document(
                value,
                node.start_mark.line + 1 + offset,
                node.end_mark.line + 1 + offset,
                tuple(maker.duplicates),
            )
    except yaml.reader.ReaderError as exc:
        line = text.encode()[: exc.position].count(b"\n") + 1 + offset
        raise DocumentError(line, f"the character #x{exc.character:02x} is not allowed") from None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
        line = (mark.line + 1 if mark else 1) + offset
        problem = getattr(exc, "problem", None) or str(exc).split("\n", 1)[0]
        raise DocumentError(line, problem) from None
    except RecursionError:
        raise DocumentError(1 + offset, "the document is nested too deeply") from None
    finally:
        loader.dispose()


class _Maker:
    """Plain values out of nodes."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.duplicates: list[tuple[str, int, int]] = []
        self._made: dict[int, tuple[Any, int, Any]] = {}  # node id: value, size, node (kept alive)
        self._open: set[int] = set()

    def make(self, node: Any) -> Any:
        value, size = self._make(node)
        if size > MAX_VALUES:
            raise DocumentError(
                node.start_mark.line + 1 + self.offset,
                f"the document expands to {size:,} values (limit {MAX_VALUES:,})",
            )
        return value

    def _make(self, node: Any) -> tuple[Any, int]:
        if type(node) is yaml.ScalarNode:
            return (node.value if node.tag == _STR else self._scalar(node)), 1
        key = id(node)
        if known := self._made.get(key):
            return known[0], known[1]
        if key in self._open:
            line = node.start_mark.line + 1 + self.offset
            raise DocumentError(line, "an anchor contains itself")
        self._open.add(key)
        value, size = self._list(node) if type(node) is yaml.SequenceNode else self._dict(node)
        self._open.discard(key)
        self._made[key] = (value, size, node)
        return value, size

    def _list(self, node: Any) -> tuple[list[Any], int]:
        found, total = [], 1
        for child in node.value:
            value, size = self._make(child)
            found.append(value)
            total += size
        return found, total

    def _dict(self, node: Any) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        total = 1
        for key_node, value_node in node.value:
            value, size = self._make(value_node)
            total += size
            if key_node.tag == _MERGE:
                merged += value if isinstance(value, list) else [value]
                continue
            key = key_node.value if type(key_node) is yaml.ScalarNode else str(self._make(key_node))
            if key in found:
                self.duplicates.append((key, self._first_line(node, key), self._line(key_node)))
            found[key] = value
        for base in merged:
            if isinstance(base, dict):
                found = {**base, **found}
        return found, total

    def _first_line(self, node: Any, key: str) -> int:
        return next(self._line(first) for first, _ in node.value if first.value == key)

    def _line(self, node: Any) -> int:
        return int(node.start_mark.line) + 1 + self.offset

    def _scalar(self, node: Any) -> Any:
        text, tag = node.value, node.tag
        if tag == _NULL:
            return None
        if tag == _BOOL:
            return text in _TRUE
        if tag == _INT:
            return _integer(text)
        if tag == _FLOAT:
            return _real(text)
        return text  # any other tag: the text as written


def _integer(text: str) -> int:
    text = text.replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith(("0x", "0b", "0o")):
        return sign * int(digits, 0)
    if digits.startswith("0") and len(digits) > 1:
        return sign * int(digits, 8)
    return sign * int(digits or "0")


def _real(text: str) -> float:
    text = text.replace("_", "").lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def line_of(text: str, path: Path) -> int:
    """Return the line (from 1) of the value at `path` in a one-document text, or of its parent.

    For a mapping entry it is the line of its key.
    """
    loader = _Loader(text)
    try:
        node = loader.get_node() if loader.check_node() else None
    except yaml.YAMLError:
        return 0
    finally:
        loader.dispose()
    if node is None:
        return 0
    line = int(node.start_mark.line)
    for part in path:
        step = _step(node, part)
        if step is None:
            break
        line, node = step
    return line + 1


def _step(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return child.start_mark.line, child
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line, value
    return None
