"""EGU-1722 bad-share-answers-503."""

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
    code="EGU-1722",
    severity=Severity.INFO,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 7, 0),
    fixed_in=(1, 8, 0),
    link=notes_link((1, 7, 0)),
    ok="no rule has both good and bad backends",
)
def bad_share_answers_503(snapshot: Snapshot) -> Iterator[Problem]:
    """The share of a bad backend in a rule answers 503 instead of 500.

    ## Why it matters
    1.7 does not say which answer stands for a missing cluster, so Envoy's own 503 is sent.
    Alerts on 500 alone stay silent.

    ## How to fix it
    Remove the bad backendRef, or look at 503 too.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        for index, entry in rules_of(attachment.route):
            refs = [(r, fault_of(joined, r, attachment.route)) for r in rule_backend_refs(entry)]
            bad = [ref for ref, fault in refs if isinstance(fault, Fault)]
            if bad and any(fault is None for _, fault in refs):
                yield change(
                    snapshot,
                    bad[0].entry.at(section=f"rule {index}"),
                    f"requests for {bad[0]} get 503",
                    today="they get 500",
                    after="they get Envoy's answer for a missing cluster, 503",
                    keep=("remove the backendRef, or create what it names",),
                )
