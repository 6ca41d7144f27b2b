"""EGU-1606 gateway-errors-eject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    ENVOY_PROXY,
    SECURITY_POLICY,
)
from egops.rules import rule
from egops.snapshot import number
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.settings import backend_settings, value_at
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot

PASSIVE = ("healthCheck", "passive", "consecutiveGatewayErrors")


@rule(
    code="EGU-1606",
    severity=Severity.WARNING,
    optional=(
        *ROUTES,
        BACKEND_TRAFFIC_POLICY,
        SECURITY_POLICY,
        ENVOY_EXTENSION_POLICY,
        ENVOY_PROXY,
    ),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no policy counts gateway errors",
)
def gateway_errors_eject(snapshot: Snapshot) -> Iterator[Problem]:
    """`consecutiveGatewayErrors` was only counted and ejects backends from 1.6 on.

    ## Why it matters
    Envoy does not enforce gateway errors by default; 1.6 sets the share to 100 %. Endpoints that
    answer 502, 503 or 504 several times are taken out.

    ## How to fix it
    Remove the field, or choose a number that fits.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        if used or not joined.is_whole:
            yield from _judge(snapshot, policy, ("spec",))
    for kind in (SECURITY_POLICY, ENVOY_EXTENSION_POLICY):
        for policy, used in joined.in_use(kind):
            for path in backend_settings(policy) if used or not joined.is_whole else ():
                yield from _judge(snapshot, policy, path)
    for proxy in snapshot.all(ENVOY_PROXY):
        for path in backend_settings(proxy):
            yield from _judge(snapshot, proxy, path)


def _judge(snapshot: Snapshot, resource: Resource, path: Path) -> Iterator[Problem]:
    count = number(value_at(resource, path), *PASSIVE)
    if count <= 0:
        return
    place = (*path, *PASSIVE)
    yield change(
        snapshot,
        resource.at(*place),
        f"an endpoint is taken out after {count} gateway errors in a row",
        today="the errors are counted, nothing is taken out for them",
        after="enforcing_consecutive_gateway_failure is 100 %",
        keep=("remove consecutiveGatewayErrors",),
        verify="outlier_detection.ejections_active of the clusters",
        fix_patch=patch(resource, place),
    )
