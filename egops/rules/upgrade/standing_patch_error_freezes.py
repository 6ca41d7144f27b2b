"""EGU-1403 standing-patch-error-freezes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PATCH_POLICY, condition
from egops.rules import rule
from egops.snapshot import items
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1403",
    severity=Severity.ERROR,
    reads=(ENVOY_PATCH_POLICY,),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no EnvoyPatchPolicy fails",
)
def standing_patch_error_freezes(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyPatchPolicy fails, and from 1.4 on one error holds back the whole Gateway.

    ## Why it matters
    What was translated without an error was still published. From 1.4 on an error means no new
    snapshot: changes do not reach the proxies, and after a restart of the controller new proxies
    get nothing.

    ## How to fix it
    Repair or delete the policy before the upgrade.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(ENVOY_PATCH_POLICY):
        for _, ancestor in items(policy.status, "ancestors"):
            found = condition(ancestor, "Programmed")
            if found is None or not found.is_false or not found.is_fresh(policy):
                continue
            yield change(
                snapshot,
                policy.at("spec"),
                "the failing patch holds back every update of its Gateway",
                evidence=(f"{found.reason}: {found.message}",),
                today="the resource is published unpatched",
                after="no snapshot is published while the error stands",
                keep=("repair the policy or delete it",),
                verify="the policy is Programmed=True",
            )
            break
