"""EGU-1727 empty-early-headers-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "headers", "earlyRequestHeaders")


@rule(
    code="EGU-1727",
    severity=Severity.ERROR,
    optional=(*ROUTES, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="every early header filter of a ClientTrafficPolicy changes something",
)
def empty_early_headers_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """An early header filter that changes nothing fails its policy.

    ## Why it matters
    From 1.7 on `earlyRequestHeaders` without a header is refused: every route of the policy's
    listeners answers 500.

    ## How to fix it
    Remove the empty block.
    """
    upgrade_of(snapshot)
    for policy, listeners in world(snapshot).on_listeners(CLIENT_TRAFFIC_POLICY):
        block = section(policy.spec, "headers").get("earlyRequestHeaders")
        http = [found for found in listeners if found.is_http]
        if not isinstance(block, dict) or any(block.values()) or (listeners and not http):
            continue
        yield change(
            snapshot,
            policy.at(*PATH),
            f"the policy is refused for an empty block: {len(http)} listener(s) answer 500",
            today="the block has no effect",
            after="every route of the listeners answers 500",
            keep=("remove headers.earlyRequestHeaders",),
            verify="the policy is Accepted=True",
            fix_patch=patch(policy, PATH),
        )
