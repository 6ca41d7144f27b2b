"""EGU-1412 rate-limit-header-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, CLIENT_TRAFFIC_POLICY, ENVOY_PROXY
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.ratelimited import limited
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1412",
    severity=Severity.WARNING,
    reads=(BACKEND_TRAFFIC_POLICY,),
    optional=(
        *ROUTES,
        ENVOY_PROXY,
        CLIENT_TRAFFIC_POLICY,
    ),
    since="0.1",
    changed_in=((1, 4, 5), (1, 5, 2)),
    link=notes_link((1, 4, 5)),
    ok="no policy limits rates",
)
def rate_limit_header_off(snapshot: Snapshot) -> Iterator[Problem]:
    """Answers to limited requests no longer carry `x-envoy-ratelimited`.

    ## Why it matters
    Clients and alerts that tell a rate limit by this header see a plain 429.

    ## How to fix it
    Set `headers.enableEnvoyHeaders: true` in the ClientTrafficPolicy, or look at the status.
    """
    if upgrade_of(snapshot).from_version < (1, 5):
        yield from limited(snapshot)
