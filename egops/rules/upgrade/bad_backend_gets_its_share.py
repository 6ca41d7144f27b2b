"""EGU-1522 bad-backend-gets-its-share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1522",
    severity=Severity.WARNING,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=((1, 4, 6), (1, 5, 5), (1, 6, 1)),
    link=notes_link((1, 5, 5)),
    ok="no rule has both good and bad backends",
)
def bad_backend_gets_its_share(snapshot: Snapshot) -> Iterator[Problem]:
    """A rule with one bad backend serves its good ones again, and fails for its share only.

    ## Why it matters
    Since 1.3 one bad backendRef made the whole rule answer 500. Now the good backends get their
    share by weight, and only the share of the bad one fails.

    ## How to fix it
    Remove the bad backendRef, or create what it names.
    """
    step = upgrade_of(snapshot)
    if step.from_version < (1, 3):
        return  # 1.2 left the bad one out: EGU-1311 tells
    joined = world(snapshot)
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        for index, entry in rules_of(attachment.route):
            refs = [(r, fault_of(joined, r, attachment.route)) for r in rule_backend_refs(entry)]
            bad = [(ref, fault) for ref, fault in refs if isinstance(fault, Fault)]
            if not bad or all(fault is not None for _, fault in refs):
                continue
            yield change(
                snapshot,
                bad[0][0].entry.at(section=f"rule {index}"),
                f"only the share of {bad[0][0]} fails, the good backends serve again",
                evidence=(f"bad: {bad[0][1].reason}",),
                today="every request of the rule gets 500",
                after="requests are split by weight; those of the bad backend fail",
                keep=("remove the backendRef, or create what it names",),
                verify="the route is ResolvedRefs=True and answers",
                possible=bad[0][1].possible,
            )
