"""EGU-1605 refresh-token-used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CONFIG_MAP, SECRET, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.backends import KINDS
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.policyrefs import broken_references
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "oidc")


@rule(
    code="EGU-1605",
    severity=Severity.WARNING,
    reads=(SECURITY_POLICY,),
    optional=(*ROUTES, *KINDS, SECRET, CONFIG_MAP),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="every OIDC policy says whether refresh tokens are used",
)
def refresh_token_used(snapshot: Snapshot) -> Iterator[Problem]:
    """An OIDC policy uses refresh tokens from 1.6 on unless it says no.

    ## Why it matters
    If the provider issues refresh tokens, sessions are renewed without a login: people stay logged
    in longer than before.

    ## How to fix it
    Set `oidc.refreshToken: false` to keep what was.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        oidc = section(policy.spec, "oidc")
        if not oidc or "refreshToken" in oidc or (joined.is_whole and not used):
            continue
        if any(not fault.possible for fault in broken_references(joined, policy)):
            continue  # it is not translated at all
        yield change(
            snapshot,
            policy.at(*PATH),
            "sessions are renewed with refresh tokens",
            today="refresh tokens are not used: a session ends with its token",
            after="refreshToken is true by default",
            keep=("set oidc.refreshToken: false",),
            verify="a session ends when its token does",
            possible="certain if the provider issues refresh tokens",
            fix_patch=patch(policy, (*PATH, "refreshToken"), False),  # noqa: FBT003 - the value
        )
