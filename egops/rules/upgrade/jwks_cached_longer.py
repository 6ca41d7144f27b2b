"""EGU-1621 jwks-cached-longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1621",
    severity=Severity.INFO,
    optional=(*ROUTES, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no SecurityPolicy fetches keys without saying how long they last",
)
def jwks_cached_longer(snapshot: Snapshot) -> Iterator[Problem]:
    """Remote keys of a JWT provider are kept ten minutes instead of five.

    ## Why it matters
    The five minutes that Envoy Gateway wrote are gone, Envoy's own ten minutes count: a key
    that was withdrawn is accepted longer.

    ## How to fix it
    Set `remoteJWKS.cacheDuration: 300s` once the CRDs know it.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(SECURITY_POLICY):
        for index, provider in items(policy.spec, "jwt", "providers"):
            remote = section(provider, "remoteJWKS")
            if remote and "cacheDuration" not in remote:
                yield change(
                    snapshot,
                    policy.at("spec", "jwt", "providers", index, "remoteJWKS"),
                    "the keys are fetched every ten minutes instead of five",
                    today="the keys are kept 300 s",
                    after="the keys are kept 600 s, Envoy's default",
                    keep=("after the CRDs are new, set remoteJWKS.cacheDuration: 300s",),
                    verify="cache_duration of the JWT provider in /config_dump",
                )
