"""Something that answers GET requests, what it answers, and how it fails."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import orjson

from egops.errors import EgopsError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping


class NoAnswerError(UnreachableError):
    """Somebody took the connection and did not answer in time."""


class CutError(EgopsError):
    """The whole gathering ends: `--timeout`, Ctrl-C, or another source that failed for good."""


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Asker(Protocol):
    """A port of a pod, or a URL."""

    def ask(self, path: str) -> Answer:
        """Return the answer to a GET, whatever its status.

        Raises:
            EgopsError: there is no answer; the message is a reason of one line.
        """

    def close(self) -> None:
        """Let the connection go."""


def said_in(body: bytes) -> str:
    """Return the reason in an error's body: a Status' message, or the first line of a text."""
    head = body.lstrip()[:1]
    if head == b"<":
        return "an HTML page"
    if head == b"{":
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(body)
            return str(value.get("message", "")) if isinstance(value, dict) else ""
    line = body.decode("utf-8", "replace").strip().split("\n", 1)[0]
    return line[:200]
