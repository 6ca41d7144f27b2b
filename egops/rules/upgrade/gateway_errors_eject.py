"""EGU-1606 gateway-errors-eject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import number
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "healthCheck", "passive", "consecutiveGatewayErrors")


@rule(
    code="EGU-1606",
    severity=Severity.WARNING,
    reads=(BACKEND_TRAFFIC_POLICY,),
    optional=(*ROUTES,),
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
        count = number(policy.spec, *PATH[1:])
        if count <= 0 or (joined.is_whole and not used):
            continue
        yield change(
            snapshot,
            policy.at(*PATH),
            f"an endpoint is taken out after {count} gateway errors in a row",
            today="the errors are counted, nothing is taken out for them",
            after="enforcing_consecutive_gateway_failure is 100 %",
            keep=("remove consecutiveGatewayErrors",),
            verify="outlier_detection.ejections_active of the clusters",
            fix_patch=patch(policy, PATH),
        )
