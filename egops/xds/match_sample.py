"""Texts that a regular expression matches: a few short ones, each verified with RE2."""

from __future__ import annotations

import itertools
from re import _constants as op  # type: ignore[attr-defined] # the parser of `re` has no other name
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from egops.xds.match_text import regex

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES = 60
_CLASSES = {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}
_NEGATED = {"CATEGORY_NOT_DIGIT": "a", "CATEGORY_NOT_WORD": "-", "CATEGORY_NOT_SPACE": "a"}
_PLAIN = "abcxyz019-_./ABC~:"


def samples(pattern: str, limit: int = 6) -> list[str]:
    """Return up to `limit` texts that a pattern matches as a whole; none if it is too odd."""
    compiled = regex(pattern)
    if compiled is None:
        return []
    found: dict[str, None] = {}
    for text in itertools.islice(_tries(pattern), TRIES):
        if text not in found and compiled.fullmatch(text.encode("utf-8")) is not None:
            found[text] = None
        if len(found) >= limit:
            break
    return list(found)


def _tries(pattern: str) -> Iterator[str]:
    try:
        tree = parser.parse(_for_python(pattern))
    except Exception:  # noqa: BLE001 - whatever `re` dislikes: there is just no sample
        return
    for repeat in (1, 0, 2, 3, 8):
        yield from itertools.islice(_sequence(tree, repeat), TRIES // 4)


def _for_python(pattern: str) -> str:
    """Return a pattern of RE2 as `re` reads it: flags in the middle are left out."""
    for flag in ("(?i)", "(?s)", "(?m)", "(?U)", "(?is)", "(?si)"):
        pattern = pattern.replace(flag, "")
    return pattern.replace("\\z", "\\Z").replace("[[:alnum:]]", "[a-z0-9]")


def _sequence(tree: Any, repeat: int) -> Iterator[str]:
    parts = [list(itertools.islice(_node(node, repeat), 4)) for node in tree]
    for combination in itertools.product(*parts):
        yield "".join(combination)


def _node(node: Any, repeat: int) -> Iterator[str]:
    kind, value = node
    if kind is op.LITERAL:
        yield chr(value)
    elif kind is op.NOT_LITERAL:
        yield next(char for char in _PLAIN if ord(char) != value)
    elif kind is op.ANY:
        yield "x"
    elif kind is op.IN:
        yield from _set(value)
    elif kind is op.BRANCH:
        for branch in value[1]:
            yield from itertools.islice(_sequence(branch, repeat), 2)
    elif kind is op.SUBPATTERN:
        yield from _sequence(value[3], repeat)
    elif kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        low, high, inner = value
        times = min(max(repeat, low), high)
        for text in itertools.islice(_sequence(inner, repeat), 3):
            yield text * times
    else:
        yield ""


def _set(items: Any) -> Iterator[str]:
    negated = items[0][0] is op.NEGATE
    if negated:
        yield from (char for char in _PLAIN if not any(_holds(item, char) for item in items[1:]))
        return
    for kind, value in items:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.RANGE:
            yield chr(value[0])
        elif kind is op.CATEGORY:
            yield {**_CLASSES, **_NEGATED}.get(str(value), "a")


def _holds(item: Any, char: str) -> bool:
    kind, value = item
    if kind is op.LITERAL:
        return bool(ord(char) == value)
    if kind is op.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    if kind is op.CATEGORY:
        name = str(value)
        kinds = {
            "CATEGORY_DIGIT": char.isdigit(),
            "CATEGORY_WORD": char.isalnum() or char == "_",
            "CATEGORY_SPACE": char.isspace(),
        }
        return kinds.get(name, False)
    return False
