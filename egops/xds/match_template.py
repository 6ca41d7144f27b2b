"""URI templates (`/v1/{user}/**`): turned into the regular expression that Envoy makes of them."""

from __future__ import annotations

import re
from typing import Any

from egops.xds.match_request import decode
from egops.xds.match_text import regex

_LITERAL = r"a-zA-Z0-9-._~%!$&'()+,;:@=*"
_PATH_GLOB = f"[{_LITERAL}]+"
_TEXT_GLOB = f"[{_LITERAL}/]*"
_TOKEN = re.compile(
    r"\{(?P<name>[A-Za-z][A-Za-z0-9_]*)(?:=(?P<inner>[^}]*))?\}"
    r"|(?P<glob>\*\*?)|(?P<slash>/)|(?P<text>[^*{/]+)"
)


def template_regex(template: str) -> str | None:
    """Return the RE2 expression of a template, its variables as named groups; None if malformed."""
    found = _expression(template, named=True)
    return found if found is not None and regex(found) is not None else None


def _expression(template: str, *, named: bool) -> str | None:
    parts: list[str] = []
    at = 0
    while at < len(template):
        token = _TOKEN.match(template, at)
        if token is None:
            return None
        at = token.end()
        if token["name"]:
            inner = _PATH_GLOB
            if token["inner"] is not None:
                made = _expression(token["inner"], named=False)
                if made is None:
                    return None
                inner = made
            parts.append(f"(?P<{token['name']}>{inner})" if named else inner)
        elif token["glob"]:
            parts.append(_TEXT_GLOB if token["glob"] == "**" else _PATH_GLOB)
        else:
            parts.append(re.sub(r"[$()+.]", r"\\\g<0>", token[0]))
    return "".join(parts)


def rewrite(template: str, target: str, path: bytes) -> bytes | None:
    """Return the path that a rewrite template makes of one that the template matches."""
    expression = template_regex(template)
    if expression is None:
        return None
    compiled: Any = regex(expression)
    found = compiled.fullmatch(path)
    if found is None:
        return None
    numbers = {decode(name): number for name, number in compiled.groupindex.items()}
    out = bytearray()
    for piece in re.split(r"(\{[A-Za-z][A-Za-z0-9_]*\})", target):
        if piece.startswith("{"):
            if piece[1:-1] not in numbers:
                return None
            out += found.group(numbers[piece[1:-1]]) or b""
        else:
            out += piece.encode("utf-8")
    return bytes(out)
