"""Policies that can't be translated: their status says so, or what they name is not there.

`answers_500` is what that means from a release on that lets the routes of such a policy fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import conditions
from egops.snapshot import items
from egops.upgrade.change import change
from egops.upgrade.policyrefs import broken_references
from egops.upgrade.world import world as world_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.gatewayapi import Condition
    from egops.snapshot import Kind, Path, Resource, Snapshot
    from egops.upgrade.world import Attachment, World


def answers_500(snapshot: Snapshot, kind: Kind) -> Iterator[Problem]:
    """Yield a problem for each policy of a kind in use that can't be translated."""
    joined = world_of(snapshot)
    told = set()
    for policy, found, used in refused(joined, kind):
        told.add(policy.ref)
        yield _problem(snapshot, policy, ("spec",), f"{found.reason}: {found.message}", used)
    for policy, used in joined.in_use(kind):
        faults = list(broken_references(joined, policy)) if policy.ref not in told else []
        for fault in faults[:1]:
            yield _problem(
                snapshot, policy, fault.path, fault.reason, used, possible=fault.possible
            )


def _problem(
    snapshot: Snapshot,
    policy: Resource,
    path: Path,
    reason: str,
    used: tuple[Attachment, ...],
    *,
    possible: str = "",
) -> Problem:
    said = "is not accepted" if path == ("spec",) else f"can't be translated ({reason})"
    return change(
        snapshot,
        policy.at(*path),
        f"the policy {said}: its routes answer 500",
        evidence=(reason, *(f"route: {one.route.ref}" for one in used[:5])),
        today="the routes work as if the policy were not there",
        after="the routes answer 500",
        keep=("repair the policy, or delete it",),
        verify="the policy is Accepted=True",
        severity=Severity.WARNING if possible else Severity.ERROR,
        possible=possible,
    )


def refused(
    world: World, kind: Kind
) -> Iterator[tuple[Resource, Condition, tuple[Attachment, ...]]]:
    """Yield the policies of a kind that count for routes and are Accepted=False, with the routes.

    A policy that only lost against another one has no part in the translation and is left out.
    """
    for policy, used in world.in_use(kind):
        places = [policy.status, *(entry for _, entry in items(policy.status, "ancestors"))]
        for found in (one for place in places for one in conditions(place)):
            is_bad = found.type == "Accepted" and found.is_false and found.is_fresh(policy)
            if is_bad and found.reason not in ("Conflicted", "TargetNotFound", "Overridden"):
                yield policy, found, used
                break
