"""EGU-1204 absent-endpoint-dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "healthCheck", "active")


@rule(
    code="EGU-1204",
    severity=Severity.INFO,
    reads=(BACKEND_TRAFFIC_POLICY,),
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="no policy checks the health of backends actively",
)
def absent_endpoint_dropped(snapshot: Snapshot) -> Iterator[Problem]:
    """Endpoints that leave service discovery are dropped although their health checks succeed.

    ## Why it matters
    An endpoint that passed its checks was kept until the checks failed. It is now removed at once,
    which shortens the draining of pods.

    ## How to fix it
    Nothing, unless backends serve on after they left: give them time in `preStop`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        if section(policy.spec, *PATH[1:]) and (used or not joined.is_whole):
            yield change(
                snapshot,
                policy.at(*PATH),
                "endpoints that are gone are dropped at once",
                today="they stay while their active health checks succeed",
                after="ignore_health_on_host_removal: they are dropped at once",
                verify="membership_total of the clusters follows the endpoints",
            )
