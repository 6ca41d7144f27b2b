"""EGU-1803 safe-upgrade-policy-refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ADMISSION_POLICY, ADMISSION_POLICY_BINDING, CRD
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.crds import bundle
from egops.upgrade.releases import MATRIX, dotted, is_in_force, notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

NAME = "safe-upgrades.gateway.networking.k8s.io"
OF_CHART = ((1, 8, 1),)
FIRST_BUNDLE = (1, 5)


@rule(
    code="EGU-1803",
    severity=Severity.ERROR,
    optional=(ADMISSION_POLICY, ADMISSION_POLICY_BINDING, CRD),
    since="0.1",
    changed_in=(1, 0, 0),
    link=notes_link((1, 8, 1)),
    ok="no policy stands in the way of the CRDs of the target",
)
def safe_upgrade_policy_refuses(snapshot: Snapshot) -> Iterator[Problem]:
    """The policy `safe-upgrades` guards the CRDs of the Gateway API and stands in the way.

    ## Why it matters
    It refuses CRDs of a bundle before 1.5, and experimental CRDs over standard ones; the bundles of
    Envoy Gateway are experimental. From 1.8.1 on the chart brings the policy itself: one that Helm
    does not own stays another's, or is fought over where the chart is rendered without the cluster.

    ## How to fix it
    Give policy and binding to Helm (`meta.helm.sh/release-name` and `-namespace`, label
    `app.kubernetes.io/managed-by: Helm`), or set `crds.gatewayAPI.safeUpgradePolicy.enabled` to
    false. Where the policy refuses the target's CRDs, ask its owner.
    """
    policies = [one for one in snapshot.all(ADMISSION_POLICY) if one.name == NAME]
    yield from _refused(snapshot, policies)
    step = upgrade_of(snapshot)
    before, after = (is_in_force(v, OF_CHART) for v in (step.from_version, step.to_version))
    if before or not after:
        return
    bindings = [one for one in snapshot.all(ADMISSION_POLICY_BINDING) if one.name == NAME]
    for found in (*policies, *bindings):
        if not _is_of_helm(found):
            yield change(
                snapshot,
                found.at(),
                f"Helm does not own this {found.kind.name}, which the chart brings from 1.8.1 on",
                today="it stands beside the chart",
                after="helm upgrade leaves it alone; a chart rendered elsewhere overwrites it",
                keep=(
                    f"kubectl annotate {found.kind.plural} {NAME} meta.helm.sh/release-name=eg "
                    "meta.helm.sh/release-namespace=envoy-gateway-system",
                    f"kubectl label {found.kind.plural} {NAME} app.kubernetes.io/managed-by=Helm",
                    "or set crds.gatewayAPI.safeUpgradePolicy.enabled: false in the values",
                ),
                verify="helm upgrade succeeds, and one owner is left",
                possible="certain where the chart is rendered without the cluster (Argo CD)",
            )


def _refused(snapshot: Snapshot, policies: list[Resource]) -> Iterator[Problem]:
    """Yield where the policy refuses the CRDs of the target."""
    step = upgrade_of(snapshot)
    target = MATRIX[step.to_version[:2]].gateway_api
    number = tuple(int(part) for part in target.removeprefix("v").split("."))
    for policy in policies:
        if number[:2] < FIRST_BUNDLE:
            yield change(
                snapshot,
                policy.at(),
                f"the policy refuses the CRDs of {dotted(step.to_version)}: bundle {target}",
                today="the CRDs are as they are",
                after="kubectl apply of the CRDs is refused: bundles before 1.5 are too old",
                keep=("keep the CRDs that are there, or delete the policy for the upgrade",),
                verify="kubectl apply --dry-run=server of the CRDs",
            )
        elif standard := [crd for crd, _, ch in bundle(snapshot.all(CRD)) if ch == "standard"]:
            yield change(
                snapshot,
                standard[0].at(),
                f"the policy refuses the experimental CRDs of {dotted(step.to_version)} over "
                f"{len(standard)} of the standard channel",
                today="the CRDs are of the standard channel",
                after="kubectl apply of Envoy Gateway's bundle is refused",
                keep=(
                    "apply the standard bundle: gateway-crds-helm with "
                    "crds.gatewayAPI.channel=standard",
                    "or delete the policy for the upgrade",
                ),
                verify="kubectl apply --dry-run=server of the CRDs",
            )


def _is_of_helm(found: Resource) -> bool:
    is_labelled = text(found.labels, "app.kubernetes.io/managed-by") == "Helm"
    return is_labelled and bool(text(found.annotations, "meta.helm.sh/release-name"))
