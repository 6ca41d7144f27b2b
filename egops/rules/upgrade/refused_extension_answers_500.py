"""EGU-1207 refused-extension-answers-500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.refused import refused
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1207",
    severity=Severity.ERROR,
    reads=(ENVOY_EXTENSION_POLICY,),
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="every EnvoyExtensionPolicy in use is accepted",
)
def refused_extension_answers_500(snapshot: Snapshot) -> Iterator[Problem]:
    """A EnvoyExtensionPolicy that can not be translated makes its routes answer 500.

    ## Why it matters
    Routes of a EnvoyExtensionPolicy that is not accepted worked without it. They answer 500 from
    now on.

    ## How to fix it
    Repair the policy before the upgrade: its status says what is wrong.
    """
    upgrade_of(snapshot)
    for policy, found, used in refused(world(snapshot), ENVOY_EXTENSION_POLICY):
        yield change(
            snapshot,
            policy.at("spec"),
            "the policy is not accepted: its routes answer 500",
            evidence=(
                f"{found.reason}: {found.message}",
                *(f"route: {one.route.ref}" for one in used[:5]),
            ),
            today="the routes work as if the policy were not there",
            after="the routes answer 500",
            keep=("repair the policy, or delete it",),
            verify="the policy is Accepted=True",
        )
