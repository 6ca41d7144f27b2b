"""The only way out: a Report becomes text, JSON, YAML or names.

`render(report, terminal) -> str`. No renderer asks for a tty, the clock or the environment: all of
that is in Terminal, which the command line makes once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.finding import Report

    Renderer = Callable[[Report, "Terminal"], str]


@dataclass(frozen=True)
class Terminal:
    """What the output goes to. `width` is None for anything but a terminal: nothing is cut then."""

    width: int | None = None
    color: bool = False
    unicode: bool = True
    verbose: bool = False
    elapsed: float | None = None  # seconds, for the header

    def mark(self, fancy: str, plain: str) -> str:
        """Return the mark that this terminal can show."""
        return fancy if self.unicode else plain


FORMATS = ("text", "json", "yaml", "name")


def renderer(name: str) -> Renderer:
    """Return the renderer of this name, loading only what it needs."""
    if name == "text":
        from egops.render.text import render  # noqa: PLC0415 - rich is heavy
    elif name == "json":
        from egops.render.json import render  # noqa: PLC0415 - load one renderer only
    elif name == "yaml":
        from egops.render.json import render_yaml as render  # noqa: PLC0415 - yaml is heavy
    else:
        from egops.render.names import render  # noqa: PLC0415 - load one renderer only
    return render
