"""The order of an upgrade: exact commands, what restarts, what traffic sees, how to go back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import installs
from egops.snapshot import text
from egops.upgrade.releases import MATRIX, dotted, last_patch, notes_link, steps
from egops.upgrade.world import world

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.finding import Finding
    from egops.snapshot import Snapshot, Upgrade

CHART = "oci://docker.io/envoyproxy/gateway-helm"
CRD_CHART = "oci://docker.io/envoyproxy/gateway-crds-helm"
APPLY = "kubectl apply --force-conflicts --server-side -f"
Version = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One step: what it is for, and the commands, if any."""

    title: str
    commands: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def plan(snapshot: Snapshot, step: Upgrade, findings: Iterable[Finding]) -> tuple[Step, ...]:
    """Return the steps from the installed release to the target."""
    found = installs(snapshot)
    namespace = (found[0].namespace if found else "") or "envoy-gateway-system"
    name = "eg"
    if found and found[0].deployment is not None:
        name = text(found[0].deployment.annotations, "meta.helm.sh/release-name") or name
    path = steps(step.from_version, step.to_version)
    made = [_save(name, namespace), *_before(list(findings))]
    if len(path) > 1:
        names = ", ".join(dotted(version) for version in path)
        made.append(
            Step(
                f"Go minor by minor: {names}",
                remarks=("skipping minors is not described anywhere and not tested upstream",),
            )
        )
    for version in path:
        made += _release(version, name, namespace)
    made += [_effect(snapshot), _verify(namespace, step), _back(step, name, namespace)]
    return tuple(made)


def _save(name: str, namespace: str) -> Step:
    return Step(
        "Save what is there",
        (
            "egops bundle before.zip",
            "kubectl get gatewayclasses,gateways,httproutes,grpcroutes,tlsroutes,tcproutes,"
            "udproutes,referencegrants,backendtlspolicies -A -o yaml > gateway-api.yaml",
            "kubectl get envoyproxies,backends,clienttrafficpolicies,backendtrafficpolicies,"
            "securitypolicies,envoyextensionpolicies,envoypatchpolicies,httproutefilters -A "
            "-o yaml > envoy-gateway.yaml",
            f"helm get values {name} -n {namespace} -o yaml > values.yaml",
        ),
    )


def _before(findings: list[Finding]) -> list[Step]:
    hard = [found for found in findings if found.severity == Severity.ERROR]
    soft = [found for found in findings if found.severity == Severity.WARNING]
    made = []
    if hard:
        places = tuple(f"{f.code} {f.at.ref}: {f.problem.message}" for f in hard[:20])
        more = (f"… and {len(hard) - 20} more",) if len(hard) > 20 else ()
        made.append(Step(f"Repair {len(hard)} error(s) first", remarks=(*places, *more)))
    if soft:
        made.append(Step(f"Decide on {len(soft)} warning(s): keep the old behaviour or accept"))
    return made


def crd_commands(version: Version) -> tuple[str, ...]:
    """Return the commands that bring the CRDs of a release, as its documentation gives them."""
    tag = f"v{dotted(version)}"
    if version >= (1, 8):
        return (
            f"helm template eg-crds {CRD_CHART} --version {tag} "
            "--set crds.gatewayAPI.enabled=true --set crds.envoyGateway.enabled=true "
            "| kubectl apply --force-conflicts --server-side -f -",
        )
    commands = (
        f"helm pull {CHART} --version {tag} --untar",
        f"{APPLY} gateway-helm/crds/gatewayapi-crds.yaml",
        f"{APPLY} gateway-helm/crds/generated",
    )
    if version[:2] == (1, 1):
        return ("kubectl delete crd backendtlspolicies.gateway.networking.k8s.io", *commands)
    return commands


def _release(version: Version, name: str, namespace: str) -> list[Step]:
    tag = f"v{dotted(version)}"
    row = MATRIX[version[:2]]
    remarks = ["Helm never updates CRDs: apply them before the controller"]
    if version[:2] == (1, 1):
        remarks.append("BackendTLSPolicies are lost with their CRD: re-create them as v1alpha3")
    newest = last_patch(version)
    if newest != version:
        remarks.append(f"{dotted(newest)} is the newest patch of this minor: prefer it")
    return [
        Step(
            f"CRDs of {tag} (Gateway API {row.gateway_api})", crd_commands(version), tuple(remarks)
        ),
        Step(
            f"Controller {tag}",
            (
                f"helm upgrade {name} {CHART} --version {tag} -n {namespace} -f values.yaml",
                f"kubectl rollout status deployment/envoy-gateway -n {namespace} --timeout=5m",
            ),
            (f"release notes: {notes_link((*version[:2], 0))}",),
        ),
    ]


def _effect(snapshot: Snapshot) -> Step:
    gateways = len(world(snapshot).gateways)
    what = f"the proxies of {gateways} Gateway(s)" if gateways else "all proxies"
    return Step(
        "What restarts, and what traffic sees",
        remarks=(
            f"the controller restarts once per release; {what} are rolled once per release",
            "rolling keeps serving with two or more replicas; with one there is a short gap, and "
            "long connections end after the drain time",
        ),
    )


def _verify(namespace: str, step: Upgrade) -> Step:
    return Step(
        "Verify",
        (
            f"kubectl get deployment envoy-gateway -n {namespace} "
            "-o jsonpath='{..image}'  # "
            f"v{dotted(step.to_version)}",
            "kubectl get gateways,httproutes,grpcroutes -A",
            "egops upgrade verify --snapshot before.zip",
            "egops doctor",
        ),
    )


def _back(step: Upgrade, name: str, namespace: str) -> Step:
    remarks = ["proxies are rolled again; objects stay as they are"]
    if step.to_version >= (1, 8) > step.from_version[:2]:
        remarks.append(
            "the CRDs of 1.8 on refuse to be downgraded below Gateway API 1.5: leave them in place"
        )
    else:
        remarks.append("leave the newer CRDs in place: the older controller works with them")
    return Step("How to go back", (f"helm rollback {name} -n {namespace}",), tuple(remarks))
