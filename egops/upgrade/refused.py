"""Policies whose status says that they could not be translated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import conditions
from egops.snapshot import items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Condition
    from egops.snapshot import Kind, Resource
    from egops.upgrade.world import Attachment, World


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
