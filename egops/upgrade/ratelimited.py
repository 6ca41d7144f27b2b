"""Policies that limit rates on listeners whose answers lose the header of the rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, CLIENT_TRAFFIC_POLICY
from egops.snapshot import section
from egops.upgrade.change import change
from egops.upgrade.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Snapshot
    from egops.upgrade.world import Listener, World


def limited(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield a problem for each policy that limits rates where Envoy's headers are off."""
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        listeners = [one for found in used for one in found.listeners if one.is_http]
        if not section(policy.spec, "rateLimit") or (joined.is_whole and not listeners):
            continue
        if listeners and all(_has_headers(joined, one) for one in listeners):
            continue
        yield change(
            snapshot,
            policy.at("spec", "rateLimit"),
            "answers to limited requests lose x-envoy-ratelimited",
            today="they carry x-envoy-ratelimited: true",
            after="the header is sent only with headers.enableEnvoyHeaders: true",
            keep=("set headers.enableEnvoyHeaders: true in the ClientTrafficPolicy",),
            verify="the headers of a 429",
            possible="certain if a client or an alert looks at the header",
        )


def _has_headers(joined: World, listener: Listener) -> bool:
    policy = joined.listener_policy(CLIENT_TRAFFIC_POLICY, listener)
    return policy is not None and section(policy.spec, "headers").get("enableEnvoyHeaders") is True
