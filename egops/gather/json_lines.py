"""Where the items of a JSON List start, so that a finding can tell the line of its object.

JSON is parsed without positions, since that is many times faster; the text is scanned once, and
only if something was found in it.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]')
_ITEMS = re.compile(r'"items"\s*:\s*\[')


def item_spans(text: str) -> list[tuple[int, int]]:
    """Return start and end of each item of the outermost `items`, or of a top-level array."""
    start = _array(text)
    if start < 0:
        return []
    spans: list[tuple[int, int]] = []
    depth, begin = 0, start
    for token in _TOKEN.finditer(text, start):
        match token[0]:
            case "{" | "[":
                depth += 1
            case "}":
                depth -= 1
            case "]" if depth:
                depth -= 1
            case "," | "]" if not depth:
                spans.append((begin, token.start()))
                begin = token.end()
                if token[0] == "]":
                    break
            case _:
                pass
    return spans


def _array(text: str) -> int:
    """Return where the content of the array starts, or -1."""
    head = text.lstrip()
    if head.startswith("["):
        return len(text) - len(head) + 1
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
        elif depth == 1 and token[0] == '"items"' and (found := _ITEMS.match(text, token.start())):
            return found.end()
    return -1
