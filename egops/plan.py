"""What a command would change: shown first, carried out after, and nothing else. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Action(StrEnum):
    """What becomes of one thing."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "unchanged"
    REFUSE = "refused"


@dataclass(frozen=True)
class Change:
    """One thing and what becomes of it.

    `what` names it for people, `reason` says why (a clause), `before` and `after` are the texts
    that a diff compares. `key` and `payload` are for whoever carries the change out.
    """

    action: Action
    what: str
    reason: str = ""
    before: str = field(default="", repr=False)
    after: str = field(default="", repr=False)
    key: str = ""
    payload: Any = field(default=None, repr=False, compare=False)

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff; none when nothing differs."""
        yield from difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            f"{self.what} (there)",
            f"{self.what} (ours)",
            lineterm="",
            n=2,
        )


@dataclass(frozen=True)
class Plan:
    """Everything a command would change in one place; `notes` are sentences for people."""

    where: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[Change, ...]:
        """Return what would be written or removed."""
        return tuple(
            change
            for change in self.changes
            if change.action in {Action.CREATE, Action.UPDATE, Action.DELETE}
        )

    @property
    def refused(self) -> tuple[Change, ...]:
        """Return what is in the way."""
        return tuple(change for change in self.changes if change.action is Action.REFUSE)
