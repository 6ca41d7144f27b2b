"""EGU-1309 empty-x-forwarded-for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import SourceType, section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "clientIPDetection", "xForwardedFor")
MODES = ("numTrustedHops", "trustedCIDRs")


@rule(
    code="EGU-1309",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(*CORE, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every xForwardedFor of a ClientTrafficPolicy says whom it trusts",
)
def empty_x_forwarded_for(snapshot: Snapshot) -> Iterator[Problem]:
    """An `xForwardedFor` that trusts nobody was allowed and now breaks the whole Gateway.

    ## Why it matters
    The CRD of 1.3 demands `numTrustedHops` or `trustedCIDRs`: an apply is refused. An object that
    is already stored makes a listener that can't be built, and the Gateway is published with bare
    listeners: no route, no cluster, no secret.

    ## How to fix it
    Delete the block: the peer's address is the default. Don't set `numTrustedHops: 0`, which trusts
    what the client sends.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = {policy.ref: found for policy, found in joined.on_listeners(CLIENT_TRAFFIC_POLICY)}
    for policy in snapshot.all(CLIENT_TRAFFIC_POLICY):
        block = section(policy.spec, "clientIPDetection").get("xForwardedFor")
        if not isinstance(block, dict) or any(block.get(mode) is not None for mode in MODES):
            continue
        http = [listener for listener in used.get(policy.ref, ()) if listener.is_http]
        is_live = snapshot.source.type is SourceType.CLUSTER
        if is_live and joined.is_whole and not http:
            continue
        yield change(
            snapshot,
            policy.at(*PATH),
            "an xForwardedFor without numTrustedHops or trustedCIDRs is invalid",
            evidence=tuple(f"listener: {listener.label}" for listener in http),
            today="the block counts as no trusted hop: the peer's address is the client's",
            after="an apply is refused; a stored object empties the Gateway: no route, no cluster",
            keep=("delete spec.clientIPDetection.xForwardedFor; don't set numTrustedHops: 0",),
            verify="the policy is Accepted=True, the listener has its routes in /config_dump",
            fix_patch=patch(policy, PATH),
        )
