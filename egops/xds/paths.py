"""The path as Envoy sees it before matching: escaped slashes, dot segments, merged slashes.

All functions take and return the bytes of `:path`; only the part before `?` ever changes. The order
is Envoy's: `unescape_slashes`, then `normalize`, then `merge_slashes`.
"""

from __future__ import annotations

import re
from typing import Final

ESCAPED_SLASH = re.compile(rb"%(?:2[Ff]|5[Cc])")
_SLASHES: Final = {b"%2F": b"/", b"%2f": b"/", b"%5C": b"\\", b"%5c": b"\\"}

# bytes that are kept or decoded; everything in here may pass by without a look
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_KEPT = _UNRESERVED | frozenset(b"!$&'()*+,:;=@[]")
_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9\-_~!$&'()*+,:;=@\[\]/.]|\.")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_PERCENT, _SLASH, _BACKSLASH, _DOT, _SEMICOLON = b"%/\\.;"


def split_query(path: bytes) -> tuple[bytes, bytes]:
    """Return the path and the query; the query keeps its `?`."""
    at = path.find(b"?")
    return (path, b"") if at < 0 else (path[:at], path[at:])


def unescape_slashes(path: bytes) -> bytes:
    """Return the path with `%2F` and `%5C` decoded; equal to `path` if there were none."""
    bare, query = split_query(path)
    if b"%" not in bare:
        return path
    return ESCAPED_SLASH.sub(lambda found: _SLASHES[found[0]], bare) + query


def merge_slashes(path: bytes) -> bytes:
    """Return the path without empty segments. A path of nothing but slashes becomes `//`."""
    if b"//" not in path:
        return path
    bare, query = split_query(path)
    if b"//" not in bare:
        return path
    first = b"/" if bare.startswith(b"/") else b""
    last = b"/" if bare.endswith(b"/") else b""
    return first + b"/".join(part for part in bare.split(b"/") if part) + last + query


def strip_parameters(bare: bytes, *, per_segment: bool) -> bytes:
    """Return a path without `;parameters`: of each segment, or (older) all after the first one."""
    if b";" not in bare:
        return bare
    if not per_segment:
        return bare.partition(b";")[0]
    return b"/".join(part.partition(b";")[0] for part in bare.split(b"/"))


def normalize(path: bytes, *, dot_parameters: bool) -> bytes | None:
    """Return the path with dot segments resolved and escapes made canonical; None if it has `%00`.

    `dot_parameters` says whether `..;x` is a dot segment too, as it is since mid-2026.
    """
    bare, query = split_query(path)
    if _NOT_PLAIN.search(bare) is None:
        return path
    if dot_parameters and b";" in bare:
        bare = _DOT_PARAMETERS.sub(rb"\1", bare)
    done = _Canonical(bare).run()
    return None if done is None else done + query


_DOT_PARAMETERS = re.compile(rb"(?<=/)(\.\.?);[^/]*")


class _Canonical:
    """One pass over a path, as the URL library that Envoy uses makes it."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.end = len(text)
        self.out = bytearray()
        self.stray = -10  # index in `out` of the last `%` that starts no escape
        self.failed = False

    def run(self) -> bytes | None:
        at = 0
        while at < self.end:
            byte = self.text[at]
            if byte in (_DOT, _PERCENT):
                at = self._special(at)
                continue
            if byte in _KEPT or byte == _SLASH:
                self.out.append(byte)
            elif byte == _BACKSLASH:
                self.out.append(_SLASH)
            else:
                self.out += b"%%%02X" % byte
                self.failed |= byte == 0
            at += 1
        return None if self.failed else bytes(self.out)

    def _special(self, at: int) -> int:
        """Handle a dot or a percent sign; return where to go on."""
        if dot := self._dot(at):
            return self._dot_segment(at, dot)
        return self._escape(at)

    def _dot(self, at: int) -> int:
        """Return the length of a dot, written out or escaped; 0 if there is none."""
        if at >= self.end:
            return 0
        if self.text[at] == _DOT:
            return 1
        return 3 if self.text[at : at + 3] in (b"%2e", b"%2E") else 0

    def _slash(self, at: int) -> bool:
        return self.text[at] in (_SLASH, _BACKSLASH)

    def _dot_segment(self, at: int, dot: int) -> int:
        after = at + dot
        if not self.out or self.out[-1] != _SLASH:
            self.out.append(_DOT)
            return after
        if after == self.end:
            return after
        if self._slash(after):
            return after + 1
        if second := self._dot(after):
            last = after + second
            if last == self.end or self._slash(last):
                self._up()
                return last + (last < self.end)
        self.out.append(_DOT)
        return after

    def _up(self) -> None:
        """Drop the last segment of the output; the root stays."""
        if len(self.out) > 1:
            at = self.out.rfind(b"/", 0, len(self.out) - 1)
            del self.out[max(at, 0) + 1 :]

    def _escape(self, at: int) -> int:
        pair = self.text[at + 1 : at + 3]
        if len(pair) < 2 or pair[0] not in _HEX or pair[1] not in _HEX:
            self.stray = len(self.out)
            self.out.append(_PERCENT)
            return at + 1
        value = int(pair, 16)
        if value in _UNRESERVED:
            self.out.append(value)
            if self.stray >= len(self.out) - 3:
                self._guard(at + 3)
        else:
            self.out += self.text[at : at + 3]
            self.failed |= value == 0
        return at + 3

    def _guard(self, following: int) -> None:
        """Escape the stray `%` if what was just decoded would make an escape of it."""
        out, stray = self.out, self.stray
        size = len(out)
        borrowed = stray == size - 2
        if borrowed:
            if following >= self.end or self.text[following] >= 0x80:
                return
            out.append(self.text[following])
        if stray + 3 <= len(out) and out[stray + 1] in _HEX and out[stray + 2] in _HEX:
            last = out[size - 1]
            if not borrowed:
                out.append(out[stray + 1])
            out[stray + 1 : stray + 3] = b"25"
            out.append(last)
        elif borrowed:
            del out[size:]
