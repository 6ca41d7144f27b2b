"""EGU-1106 patch-policy-status-moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PATCH_POLICY
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1106",
    severity=Severity.INFO,
    reads=(ENVOY_PATCH_POLICY,),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="no EnvoyPatchPolicy is in use",
)
def patch_policy_status_moves(snapshot: Snapshot) -> Iterator[Problem]:
    """The status of EnvoyPatchPolicies moves from `conditions` to `ancestors`.

    ## Why it matters
    Scripts, GitOps health checks and `kubectl wait` that read `.status.conditions` find nothing.

    ## How to fix it
    Read `.status.ancestors[].conditions`.
    """
    upgrade_of(snapshot)
    policies = snapshot.all(ENVOY_PATCH_POLICY)
    for policy in policies[:1]:
        yield change(
            snapshot,
            policy.at(),
            f"the status of {len(policies)} EnvoyPatchPolicies moves to status.ancestors",
            today="conditions stand in .status.conditions",
            after="they stand in .status.ancestors[].conditions, one entry for each Gateway",
            keep=("read the new place in scripts and health checks",),
            verify="kubectl get envoypatchpolicies -A -o jsonpath='{..ancestors}'",
            possible="matters to what reads the status only",
        )
