"""EGU-1427 mixed-addresses-split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.upgrade.backends import KINDS
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1427",
    severity=Severity.INFO,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no rule has several backends of which one is no Service",
)
def mixed_addresses_split(snapshot: Snapshot) -> Iterator[Problem]:
    """Backends with names and with addresses in one rule get a cluster each.

    ## Why it matters
    1.3 put them into one cluster or refused them. From 1.4 on each has its own: the names of
    clusters change, and retries stay with the backend that was chosen.

    ## How to fix it
    Look at dashboards and EnvoyPatchPolicies that name these clusters.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(HTTP_ROUTE, GRPC_ROUTE):
        for index, entry in rules_of(attachment.route):
            refs = rule_backend_refs(entry)
            if len(refs) > 1 and any(ref.kind_name != "Service" for ref in refs):
                yield change(
                    snapshot,
                    refs[0].entry.at(section=f"rule {index}"),
                    "each backend of the rule gets a cluster of its own",
                    today="one cluster, if its addresses are of one type",
                    after="one cluster for each, chosen by weight",
                    possible="certain if some backends have names and some addresses",
                )
