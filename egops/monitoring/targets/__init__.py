"""Where boards and rules can be installed. A target plans, then carries out; nothing in between.

Whatever the target: what is equal is left alone, what somebody else made or edited is refused
unless the user says `overwrite`, and only what is ours is removed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from egops import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from egops.plan import Change, Plan

What = Literal["dashboards", "alerts"]
FOLDER = "Envoy Gateway"
FOLDER_UID = "egops-envoy-gateway"


@dataclass(frozen=True)
class Content:
    """What is to be installed: boards by short name, or rule groups.

    `partial` says that the user named some of it, so that the rest is not left over but unasked.
    """

    what: What
    boards: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    groups: Sequence[dict[str, Any]] = ()
    partial: bool = False


class Target(Protocol):
    """A place for boards or rules."""

    def plan(self, content: Content, *, overwrite: bool) -> Plan:
        """Return what installing would change. Reads only."""

    def removal(self, what: What) -> Plan:
        """Return what uninstalling would remove. Reads only."""

    def carry_out(self, plan: Plan, *, overwrite: bool, dry_run: bool) -> Iterator[Change]:
        """Carry out a plan; yield each change when it is done."""


_VOLATILE = ("id", "version", "iteration")


def normalized(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return a board without what Grafana writes into it on its own."""
    kept = {key: value for key, value in board.items() if key not in _VOLATILE}
    return {key: value for key, value in kept.items() if value is not None}


def digest(thing: Any) -> str:
    """Return a short hash of plain data that does not depend on the order of keys."""
    text = json.dumps(thing, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pretty(thing: Any) -> str:
    """Return plain data as text for a diff."""
    return json.dumps(thing, indent=2, sort_keys=True, ensure_ascii=False)


def ownership(what: What, content: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels and annotations that mark an object as ours."""
    labels = {
        "app.kubernetes.io/managed-by": "egops",
        "app.kubernetes.io/part-of": "egops",
        "app.kubernetes.io/component": what,
    }
    return labels, {"egops/content-hash": digest(content), "egops/version": __version__}
