"""What rules say of a status condition: its text, whether it is believed, how bad it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import Condition, condition, conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot

__all__ = ["failed", "is_settled", "severity", "told", "told_all"]


def told(found: Condition) -> str:
    """Return `Accepted=False InvalidParameters: message`."""
    text = f"{found.type}={found.status} {found.reason}".rstrip()
    message = " ".join(found.message.split())
    return f"{text}: {message}" if message else text


def told_all(status: Mapping[str, Any], *types: str) -> tuple[str, ...]:
    """Return the conditions of a status that are not as they should be, or those of `types`."""
    return tuple(
        told(found)
        for found in conditions(status)
        if (found.type in types if types else found.is_false)
    )


def failed(status: Mapping[str, Any], kind: str) -> Condition | None:
    """Return the condition of this type if it is `False`."""
    found = condition(status, kind)
    return found if found and found.is_false else None


def severity(found: Condition, resource: Resource, worst: Severity) -> Severity:
    """Return `worst`, or one level less for a condition that speaks of an older generation."""
    if found.is_fresh(resource) or worst is Severity.INFO:
        return worst
    return Severity(worst - 1)


def is_settled(found: Iterable[Condition], resource: Resource, snapshot: Snapshot) -> bool:
    """Return whether all of these conditions have held long enough."""
    return all(entry.has_settled(resource, snapshot) for entry in found)
