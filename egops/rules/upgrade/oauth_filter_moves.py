"""EGU-1808 oauth-filter-moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.patches import KINDS, operations
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1808",
    severity=Severity.WARNING,
    optional=(
        *ROUTES,
        *KINDS,
        SECURITY_POLICY,
    ),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no policy logs in with OIDC and no patch touches its filter",
)
def oauth_filter_moves(snapshot: Snapshot) -> Iterator[Problem]:
    """The OAuth2 filter of OIDC policies is one for all, with its settings at the routes.

    ## Why it matters
    Patches and extension servers that look for a filter of each route find none. People who are
    logged in may have to log in again.

    ## How to fix it
    Rewrite patches for 1.8; upgrade while few people log in.
    """
    upgrade_of(snapshot)
    for found in operations(snapshot):
        if "oauth2" in found.whole:
            yield change(
                snapshot,
                found.at(),
                f"the patch of {found.name} is on an OAuth2 filter that moves",
                evidence=(f"path: {found.path}",),
                today="each route has an oauth2 filter with its settings",
                after="one filter envoy.filters.http.oauth2, settings in typed_per_filter_config",
                keep=("rewrite the patch for 1.8 and try it before",),
                verify=f"EnvoyPatchPolicy {found.policy.name} is Programmed=True",
            )
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        if section(policy.spec, "oidc") and (used or not joined.is_whole):
            yield change(
                snapshot,
                policy.at("spec", "oidc"),
                "people who are logged in may have to log in again",
                today="the filter and its names are made for each route",
                after="one filter, named after the policy that contributes the settings",
                verify="a login works",
                severity=Severity.INFO,
                possible="certain if the names of the filter's cookies or secrets change",
            )
