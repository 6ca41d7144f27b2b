"""Progress is for terminals; everything else gets nothing."""

from __future__ import annotations

import io

import pytest

from egops.gather.progress import progress_on


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO) -> str:
    with progress_on(stream) as progress:
        progress.start("objects", 3)
        progress.advance("objects")
        progress.advance("objects", 2)
        progress.done("objects", "17 objects")
        progress.start("files")
        progress.advance("proxies")
        progress.done("late", "never started")
    return stream.getvalue()


def test_a_terminal_gets_a_line_for_each_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = show(Terminal())
    for words in ("objects", "17 objects", "files", "proxies"):
        assert words in shown
    assert shown.endswith("\x1b[2K")  # the lines are gone at the end


def test_a_dumb_terminal_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert show(Terminal()) == ""


def test_a_pipe_gets_nothing() -> None:
    assert show(io.StringIO()) == ""
