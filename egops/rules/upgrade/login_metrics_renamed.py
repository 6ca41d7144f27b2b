"""EGU-1726 login-metrics-renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1726",
    severity=Severity.INFO,
    optional=(*ROUTES, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no SecurityPolicy logs people in",
)
def login_metrics_renamed(snapshot: Snapshot) -> Iterator[Problem]:
    """The metrics of OIDC carry the name of the SecurityPolicy.

    ## Why it matters
    `oauth_success`, `oauth_failure` and their kin get the prefix
    `securitypolicy/<namespace>/<name>`: dashboards and alerts on the old names go empty.

    ## How to fix it
    Rename the metrics in dashboards and alerts.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(SECURITY_POLICY):
        if section(policy.spec, "oidc"):
            yield change(
                snapshot,
                policy.at("spec", "oidc"),
                "its metrics get other names",
                today="http.<listener>.oauth_success",
                after=f"http.<listener>.securitypolicy/{policy.namespace}/{policy.name}.oauth_success",
                keep=("rename them in dashboards and alerts",),
                verify="oauth_success counts under the new name",
            )
