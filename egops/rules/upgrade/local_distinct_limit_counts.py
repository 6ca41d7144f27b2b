"""EGU-1440 local-distinct-limit-counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1440",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no local rate limit counts each client by itself",
)
def local_distinct_limit_counts(snapshot: Snapshot) -> Iterator[Problem]:
    """A local rate limit may count each client or header value by itself.

    ## Why it matters
    Up to 1.3 a local limit with `type: Distinct` was refused and the policy's routes answered
    500. From 1.4 on it counts.

    ## How to fix it
    Look at the limit before the upgrade.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(BACKEND_TRAFFIC_POLICY):
        for index, limit in items(policy.spec, "rateLimit", "local", "rules"):
            for _, selector in items(limit, "clientSelectors"):
                types = [text(header, "type") for _, header in items(selector, "headers")]
                types.append(text(section(selector, "sourceCIDR"), "type"))
                if "Distinct" in types:
                    yield change(
                        snapshot,
                        policy.at("spec", "rateLimit", "local", "rules", index, "clientSelectors"),
                        "the local limit counts each value by itself",
                        today="the policy is refused, its routes answer 500",
                        after="the limit counts",
                    )
