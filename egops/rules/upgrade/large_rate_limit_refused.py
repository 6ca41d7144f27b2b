"""EGU-1812 large-rate-limit-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import items, number
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

MOST = 2**31 - 1


@rule(
    code="EGU-1812",
    severity=Severity.WARNING,
    reads=(BACKEND_TRAFFIC_POLICY,),
    since="0.1",
    changed_in=(1, 8, 0),
    fixed_in=(1, 8, 2),
    link=notes_link((1, 8, 0)),
    ok="no rate limit is larger than 2147483647",
)
def large_rate_limit_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A rate limit is larger than 2147483647, which the CRD of 1.8.0 and 1.8.1 refuses.

    ## Why it matters
    The field became a signed number of 32 bits: servers that check the format (Kubernetes 1.36)
    refuse the object.

    ## How to fix it
    Go to 1.8.2 or later, or choose a smaller limit.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(BACKEND_TRAFFIC_POLICY):
        for scope in ("global", "local"):
            for index, entry in items(policy.spec, "rateLimit", scope, "rules"):
                value = number(entry, "limit", "requests")
                if value > MOST:
                    path = ("rateLimit", scope, "rules", index, "limit", "requests")
                    yield change(
                        snapshot,
                        policy.at("spec", *path),
                        f"{value} is more than a signed number of 32 bits holds",
                        today="the limit is accepted",
                        after="an apply can be refused",
                        keep=("go to 1.8.2 or later, or choose a smaller limit",),
                        verify="kubectl apply --dry-run=server -f FILE",
                        possible="certain if the API server checks the format int32",
                    )
