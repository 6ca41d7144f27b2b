"""Repairs that a step gains or loses, and the objects that notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egops.gatewayapi import ENVOY_PROXY, GRPC_ROUTE, HTTP_ROUTE, SECURITY_POLICY
from egops.snapshot import section
from egops.upgrade.headers import becomes_active
from egops.upgrade.releases import FIXES, Fix
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path, Resource, Snapshot, Upgrade

KINDS = (*ROUTES, ENVOY_PROXY, SECURITY_POLICY)


class Settings(NamedTuple):
    """`backendSettings` of an external authorization service of a policy in use."""

    policy: Resource
    kind: str  # `http` or `grpc`
    path: Path
    values: Mapping[str, Any]


def gained(step: Upgrade) -> list[Fix]:
    """Return the repairs that the target has and the installed release has not."""
    return [f for f in FIXES if f.is_in(step.to_version) and not f.is_in(step.from_version)]


def lost(step: Upgrade) -> list[Fix]:
    """Return the repairs that the installed release has and the target has not."""
    return [f for f in FIXES if f.is_in(step.from_version) and not f.is_in(step.to_version)]


def odd_headers(snapshot: Snapshot) -> Iterator[tuple[Resource, Path, str]]:
    """Yield the routes whose header filter is refused with the repair, with place and name."""
    for attachment in world(snapshot).routes(HTTP_ROUTE, GRPC_ROUTE):
        found = becomes_active(attachment.route)
        if found is not None:
            yield attachment.route, *found


def authorization_settings(snapshot: Snapshot) -> Iterator[Settings]:
    """Yield the settings of external authorization that only count with the repair."""
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        if joined.is_whole and not used:
            continue
        for kind in ("http", "grpc"):
            path = ("spec", "extAuth", kind, "backendSettings")
            yield Settings(policy, kind, path, section(policy.body, *path))
