"""EGU-1426 bad-backend-fails-grpc-rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1426",
    severity=Severity.ERROR,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 4, 0),
    fixed_in=((1, 4, 6), (1, 5, 5), (1, 6, 1)),
    link=notes_link((1, 4, 0)),
    ok="no GRPCRoute rule has a backend that can't be used",
)
def bad_backend_fails_grpc_rule(snapshot: Snapshot) -> Iterator[Problem]:
    """One bad backendRef of a GRPCRoute rule fails the whole rule.

    ## Why it matters
    Up to 1.3 the good backends of the rule served all calls. From 1.4 on every call gets a 500,
    until 1.4.6 and 1.5.5, where only the share of the bad one fails.

    ## How to fix it
    Remove the backendRef, or create what it names, before the upgrade.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for attachment in joined.routes(GRPC_ROUTE):
        for index, entry in rules_of(attachment.route):
            refs = [(r, fault_of(joined, r, attachment.route)) for r in rule_backend_refs(entry)]
            bad = [(ref, fault) for ref, fault in refs if isinstance(fault, Fault)]
            if not bad or all(fault is not None for _, fault in refs):
                continue
            yield change(
                snapshot,
                bad[0][0].entry.at(section=f"rule {index}"),
                f"every call of the rule gets 500: {bad[0][1].reason}",
                today="the good backends serve",
                after="the rule answers 500",
                keep=("remove the backendRef, or create what it names",),
                verify="the route is ResolvedRefs=True and answers",
                severity=Severity.WARNING if bad[0][1].possible else None,
                possible=bad[0][1].possible,
            )
