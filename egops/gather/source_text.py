"""The text of a file, kept for the lines of findings."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from egops.gather.json_lines import item_spans
from egops.snapshot import Origin

if TYPE_CHECKING:
    from egops.snapshot import Path

MAX_COMPOSED = 1 << 22  # of one JSON object, to find a line in it


class SourceText:
    """The text of a file, kept for the lines of findings."""

    def __init__(self, source: str | bytes) -> None:
        self.source = source

    @cached_property
    def raw(self) -> str:
        """Return the whole text."""
        return (
            self.source.decode("utf-8", "replace")
            if isinstance(self.source, bytes)
            else self.source
        )

    @cached_property
    def lines(self) -> list[str]:
        """Return its lines, each with its end."""
        return self.raw.splitlines(keepends=True)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Return where the items of a JSON List begin and end."""
        return item_spans(self.raw)

    def around(self, line: int) -> tuple[int, int]:
        """Return the first and the last line of the document that holds a line."""
        marks = [n for n, text in enumerate(self.lines, 1) if text.startswith("---")]
        start = max((n + 1 for n in marks if n < line), default=1)
        return start, min((n - 1 for n in marks if n >= max(line, start)), default=len(self.lines))

    def slice(self, start: int, end: int) -> str:
        """Return these lines, counted from 1, both inclusive."""
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
