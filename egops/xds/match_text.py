"""String matchers and regular expressions, on bytes and with Envoy's own engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egops.xds.match_specs import StringSpec

Test = Callable[[bytes], bool | None]


@lru_cache(maxsize=200_000)
def regex(pattern: str) -> Any | None:
    """Return the compiled RE2 expression; None if RE2 refuses it, as Envoy would."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    try:
        return re2.compile(pattern.encode("utf-8"), options)
    except re2.error:
        return None


def full_match(pattern: str) -> Test:
    """Return a test for the whole text; it answers None if RE2 refuses the pattern."""
    compiled: list[Any] = []

    def test(text: bytes) -> bool | None:
        if not compiled:
            compiled.append(regex(pattern))
        expression = compiled[0]
        return None if expression is None else expression.fullmatch(text) is not None

    return test


def replace_all(pattern: str, substitution: str, text: bytes) -> bytes | None:
    """Return the text with each match replaced, `\\1` being the first group; None if refused."""
    expression = regex(pattern)
    if expression is None:
        return None
    pieces = _pieces(substitution.encode("utf-8"))
    out = bytearray()
    at, end, last = 0, len(text), -1
    while at <= end:
        found = expression.search(text, at)
        if found is None:
            break
        start, stop = found.span()
        out += text[at:start]
        if start == stop == last:  # no empty match right behind another
            width = _width(text, start) if start < end else 1
            out += text[start : start + width]
            at = start + width
            continue
        for piece in pieces:
            out += piece if isinstance(piece, bytes) else _group(found, piece)
        at = last = stop
    return bytes(out + text[at:])


def _group(found: Any, number: int) -> bytes:
    try:
        return found.group(number) or b""
    except IndexError:
        return b""


def _width(text: bytes, at: int) -> int:
    lead = text[at]
    return 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _pieces(substitution: bytes) -> list[bytes | int]:
    found: list[bytes | int] = []
    at = 0
    while at < len(substitution):
        char = substitution[at : at + 1]
        if char == b"\\" and at + 1 < len(substitution):
            following = substitution[at + 1 : at + 2]
            found.append(int(following) if following.isdigit() else following)
            at += 2
        else:
            found.append(char)
            at += 1
    return found


def string_test(spec: StringSpec) -> Test:
    """Return the test that a StringMatcher stands for; None answers what can't be known."""
    if spec.safe_regex is not None:
        return full_match(spec.safe_regex.regex)
    fold = spec.ignore_case
    for value, make in (
        (spec.exact, _exact),
        (spec.prefix, _prefix),
        (spec.suffix, _suffix),
        (spec.contains, _contains),
    ):
        if value is not None:
            return make(value.encode("utf-8"), fold)
    if spec.custom:
        return lambda text: None  # noqa: ARG005 - an extension of its own
    return _exact(b"", fold)


def _exact(value: bytes, fold: bool) -> Test:  # noqa: FBT001 - private
    if fold:
        value = value.lower()
        return lambda text: text.lower() == value
    return lambda text: text == value


def _prefix(value: bytes, fold: bool) -> Test:  # noqa: FBT001 - private
    if fold:
        value = value.lower()
        return lambda text: text.lower().startswith(value)
    return lambda text: text.startswith(value)


def _suffix(value: bytes, fold: bool) -> Test:  # noqa: FBT001 - private
    if fold:
        value = value.lower()
        return lambda text: text.lower().endswith(value)
    return lambda text: text.endswith(value)


def _contains(value: bytes, fold: bool) -> Test:  # noqa: FBT001 - private
    if fold:
        value = value.lower()
        return lambda text: value in text.lower()
    return lambda text: value in text


def describe(spec: StringSpec) -> str:
    """Return a StringMatcher in words: `starts with 'x' (any case)`."""
    fold = " (any case)" if spec.ignore_case else ""
    if spec.safe_regex is not None:
        return f"matches the regex {spec.safe_regex.regex}"
    for value, words in (
        (spec.exact, "is"),
        (spec.prefix, "starts with"),
        (spec.suffix, "ends with"),
        (spec.contains, "contains"),
    ):
        if value is not None:
            return f"{words} {value!r}{fold}"
    return "satisfies an extension" if spec.custom else f"is ''{fold}"
