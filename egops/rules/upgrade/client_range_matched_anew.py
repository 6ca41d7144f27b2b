"""EGU-1824 client-range-matched-anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1824",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no rate limit selects clients by address",
)
def client_range_matched_anew(snapshot: Snapshot) -> Iterator[Problem]:
    """Rate limits by client address use another descriptor.

    ## Why it matters
    `sourceCIDR` was compared with the masked address, and is matched as a range from 1.8 on.
    Counters start anew, and a rate limit service of your own sees other descriptors.

    ## How to fix it
    Look at dashboards and at a rate limit configuration of your own.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(BACKEND_TRAFFIC_POLICY):
        for scope in ("global", "local"):
            for index, limit in items(policy.spec, "rateLimit", scope, "rules"):
                chosen = items(limit, "clientSelectors")
                if any(section(selector, "sourceCIDR") for _, selector in chosen):
                    yield change(
                        snapshot,
                        policy.at("spec", "rateLimit", scope, "rules", index, "clientSelectors"),
                        "clients are chosen by another descriptor",
                        today="masked_remote_address",
                        after="remote_address_match, named after the rule",
                    )
