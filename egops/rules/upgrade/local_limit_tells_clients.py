"""EGU-1525 local-limit-tells-clients."""

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


@rule(
    code="EGU-1525",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no policy limits locally",
)
def local_limit_tells_clients(snapshot: Snapshot) -> Iterator[Problem]:
    """Responses under a local rate limit carry `x-ratelimit-*` headers.

    ## Why it matters
    From 1.5 on clients see limit, remaining requests and reset of local limits, as they do of
    global ones.

    ## How to fix it
    Set `headers.disableRateLimitHeaders` in a ClientTrafficPolicy if clients must not see them.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        if section(policy.spec, "rateLimit", "local") and (used or not joined.is_whole):
            yield change(
                snapshot,
                policy.at("spec", "rateLimit", "local"),
                "responses carry the x-ratelimit headers of the local limit",
                today="local limits are silent",
                after="x-ratelimit-limit, -remaining and -reset are sent",
                keep=("set headers.disableRateLimitHeaders in a ClientTrafficPolicy",),
                verify="curl -i shows the headers you expect",
            )
