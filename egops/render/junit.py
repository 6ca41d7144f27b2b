"""JUnit XML, as CI systems read it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Sequence

# what XML 1.0 cannot hold, not even escaped
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")


def junit(suite: str, cases: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return a report: each case is its name and what failed in it."""
    failed = sum(bool(problems) for _, problems in cases)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name={_attribute(suite)} tests="{len(cases)}" failures="{failed}">',
    ]
    for name, problems in cases:
        head = f"  <testcase classname={_attribute(suite)} name={_attribute(name)}"
        if not problems:
            lines.append(f"{head}/>")
            continue
        text = _clean("\n".join(problems))
        lines += [
            f"{head}>",
            f"    <failure message={_attribute(problems[0])}>{escape(text)}</failure>",
            "  </testcase>",
        ]
    return "\n".join([*lines, "</testsuite>", ""])


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").translate(_FORBIDDEN)


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))
