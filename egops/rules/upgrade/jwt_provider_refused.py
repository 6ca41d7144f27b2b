"""EGU-1319 jwt-provider-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, SECURITY_POLICY
from egops.rules import rule
from egops.upgrade.backends import KINDS, serves
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.jwt import new_faults, old_faults
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1319",
    severity=Severity.ERROR,
    reads=(SECURITY_POLICY,),
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every JWT provider is valid",
)
def jwt_provider_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """An invalid JWT provider froze the whole Gateway and now fails the policy's routes.

    ## Why it matters
    Up to 1.2 one invalid provider kept back every update of its Gateway, while the policy looked
    accepted. From 1.3 on the policy is Accepted=False and its routes answer 500. An issuer with a
    colon must be a URI now; as a mail address it was accepted.

    ## How to fix it
    Correct the provider: a unique qualified name, an issuer that is a URI or has no colon, a
    `remoteJWKS.uri`, and header and claim in `claimToHeaders`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        routes = sum(
            found.route.kind in (HTTP_ROUTE, GRPC_ROUTE) and serves(joined, found.route)
            for found in used
        )
        if joined.is_whole and not routes:
            continue
        frozen = bool(old_faults(policy))
        for path, reason in new_faults(policy)[:1]:
            yield change(
                snapshot,
                policy.at(*path),
                f"the policy fails and its {routes} route(s) answer 500: {reason}",
                today="every update of the Gateway is kept back, the policy looks accepted"
                if frozen
                else "the provider is accepted",
                after="the policy is Accepted=False, its routes answer 500, the rest moves on",
                keep=("correct the provider before the upgrade",),
                verify="the SecurityPolicy is Accepted=True",
                severity=Severity.WARNING if frozen else Severity.ERROR,
            )
