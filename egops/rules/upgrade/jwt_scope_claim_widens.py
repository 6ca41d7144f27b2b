"""EGU-1721 jwt-scope-claim-widens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1721",
    severity=Severity.INFO,
    optional=(*ROUTES, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no SecurityPolicy has a JWT provider",
)
def jwt_scope_claim_widens(snapshot: Snapshot) -> Iterator[Problem]:
    """The scopes of a token are also read from the claim `scp`.

    ## Why it matters
    From 1.7 on an authorization rule on `scopes` also matches tokens with the scope in `scp`:
    tokens that were refused can be accepted.

    ## How to fix it
    Look at what your issuer writes into `scp`.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(SECURITY_POLICY):
        if entries(policy.spec, "jwt", "providers"):
            yield change(
                snapshot,
                policy.at("spec", "jwt", "providers"),
                "scopes are read from the claims scope and scp",
                today="scopes are read from the claim scope",
                after="scp counts as well",
                verify="a token without the scope is still refused",
                possible="certain if a rule asks for scopes and tokens carry scp",
            )
