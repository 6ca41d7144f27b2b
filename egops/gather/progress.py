"""What is being read, on stderr: a line for each source, with a spinner and counts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TextIO

from egops.gather import Quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gather import Progress


@contextlib.contextmanager
def progress_on(stream: TextIO) -> Iterator[Progress]:
    """Show progress on a terminal until the block ends, then leave it as it was.

    Anything else than a terminal that can move its cursor gets nothing.
    """
    if not stream.isatty():
        yield Quiet()
        return
    from rich.console import Console

    console = Console(file=stream)
    if console.is_dumb_terminal or not console.is_terminal:
        yield Quiet()
        return
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[count]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True, refresh_per_second=8) as bars:
        yield _Lines(bars)


class _Lines:
    """Progress as lines. rich locks for itself, so threads may tell at once."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._lines: dict[str, Any] = {}

    def start(self, source: str, total: int | None = None) -> None:
        """Begin the source's line."""
        if source not in self._lines:
            self._lines[source] = self._bars.add_task(source, total=total, count="")
        self._show(source)

    def advance(self, source: str, count: int = 1) -> None:
        """Count on."""
        if source not in self._lines:
            self.start(source)
        self._bars.advance(self._lines[source], count)
        self._show(source)

    def done(self, source: str, note: str = "") -> None:
        """End the source's spinner, with a note."""
        if source not in self._lines:
            self.start(source)
        task = self._task(source)
        self._bars.update(self._lines[source], total=task.completed or 1, count=note)
        self._bars.update(self._lines[source], completed=task.completed or 1)
        self._bars.stop_task(self._lines[source])

    def _show(self, source: str) -> None:
        task = self._task(source)
        if task.total:
            self._bars.update(task.id, count=f"{task.completed:.0f}/{task.total:.0f}")
        elif task.completed:
            self._bars.update(task.id, count=f"{task.completed:.0f}")

    def _task(self, source: str) -> Any:
        wanted = self._lines[source]
        return next(task for task in self._bars.tasks if task.id == wanted)
