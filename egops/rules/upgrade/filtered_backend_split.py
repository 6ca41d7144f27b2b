"""EGU-1431 filtered-backend-split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HTTP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.snapshot import entries, items, text
from egops.upgrade.backends import KINDS
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

SUPPORTED = {"RequestHeaderModifier", "ResponseHeaderModifier", "ExtensionRef"}


@rule(
    code="EGU-1431",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE,),
    optional=(*(kind for kind in ROUTES if kind != HTTP_ROUTE), *KINDS),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no backendRef has filters of its own",
)
def filtered_backend_split(snapshot: Snapshot) -> Iterator[Problem]:
    """A backendRef with filters of its own gets its share by weight.

    ## Why it matters
    Up to 1.3 the split between backends was wrong once one of them had filters. From 1.4 on
    each backend has a cluster of its own and its share.

    ## How to fix it
    Look at the weights of such rules before the upgrade.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes(HTTP_ROUTE):
        for index, entry in rules_of(attachment.route):
            refs = rule_backend_refs(entry)
            filtered = [ref for ref in refs if entries(ref.entry.body, "filters")]
            types = {
                text(one, "type") for ref in filtered for _, one in items(ref.entry.body, "filters")
            }
            if not filtered or types - SUPPORTED:  # another filter: the rule answers 500 throughout
                continue
            yield change(
                snapshot,
                filtered[0].entry.at("filters", section=f"rule {index}"),
                "the backends of the rule get clusters of their own, chosen by weight",
                today="one cluster for all, and the split is wrong"
                if len(refs) > 1
                else "the cluster is named after the rule",
                after="a cluster for each backend",
                verify="the shares of the backends",
                severity=None if len(refs) > 1 else Severity.INFO,
            )
