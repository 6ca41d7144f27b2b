"""EGD-100 control-plane-unavailable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import CannotJudge, Problem, Severity
from egops.fleets import pod_trouble
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    GATEWAY_CLASS,
    POD,
    Install,
    condition,
    installs,
    is_young,
    our_classes,
)
from egops.gatewayapi import (
    conditions as conditions_of,
)
from egops.rules import rule
from egops.snapshot import Probe, SourceType, number, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

CONSEQUENCES = (
    "EGD-102", "EGD-143", "EGD-144", "EGD-150", "EGD-208", "EGD-223", "EGD-224", "EGD-243",
    "EGD-440",
)  # fmt: skip


@rule(
    code="EGD-100",
    severity=Severity.ERROR,
    reads=(DEPLOYMENT, GATEWAY_CLASS),
    optional=(ENVOY_GATEWAY, POD),
    optional_probes=(Probe.EG_LOG,),
    since="0.1",
    ok="Envoy Gateway is installed and available",
)
def control_plane_unavailable(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy Gateway is not installed, or none of its replicas is available.

    ## Why it matters
    Proxies that run keep serving what they have, but no change reaches them, no status is written
    and no certificate is renewed in them. A proxy that starts now gets no configuration.

    ## How to fix it
    Scale the deployment `envoy-gateway` up, or repair what its pods say: image, crash, missing
    Secret, missing CRD. Do not restart or roll proxies before it is back.
    """
    if not snapshot.knows(DEPLOYMENT):
        raise CannotJudge("no Deployment in the input")
    found = [install for install in installs(snapshot) if install.deployment is not None]
    for install in found:
        yield from _unavailable(install, snapshot)
    if not found and snapshot.source.type is SourceType.CLUSTER:
        for entry in our_classes(snapshot):
            yield Problem(
                entry.at("spec", "controllerName"),
                f"no Envoy Gateway runs here as {text(entry.spec, 'controllerName')}",
                evidence=("no Deployment has the label control-plane=envoy-gateway",),
                remedy=(
                    "install Envoy Gateway (helm install eg oci://docker.io/envoyproxy/gateway-helm"
                    " -n envoy-gateway-system --create-namespace), or delete the class",
                ),
                settled=not is_young(entry, snapshot),
                explains=CONSEQUENCES,
            )


def _unavailable(install: Install, snapshot: Snapshot) -> Iterator[Problem]:
    deployment = install.deployment
    if deployment is None or number(deployment.status, "availableReplicas") > 0:
        return
    if not deployment.status and snapshot.source.type is not SourceType.CLUSTER:
        return  # a manifest, not a live object
    replicas = number(deployment.spec, "replicas", default=1)
    pods = [(pod, trouble) for pod in _pods(install, snapshot) if (trouble := pod_trouble(pod))]
    cause = f"{pods[0][0].ref}: {pods[0][1]}" if pods else ""
    scaled = replicas == 0
    yield Problem(
        deployment.at("spec", "replicas") if scaled else deployment.at(),
        "is scaled to 0" if scaled else f"0 of {replicas} replicas are available",
        evidence=(
            *map(conditions.told, conditions_of(deployment.status)),
            *(f"{pod.ref}: {trouble}" for pod, trouble in pods[:3]),
            *_last_lines(install, snapshot),
        ),
        why=cause,
        remedy=(
            f"kubectl -n {install.namespace} scale deployment {deployment.name} --replicas=2"
            if scaled
            else f"repair {cause or 'what the events of the Deployment say'}",
            "do not restart or roll proxies before Envoy Gateway is back",
        ),
        settled=scaled
        or (not is_young(deployment, snapshot) and _has_settled(deployment, snapshot))
        or snapshot.strict,
        explains=CONSEQUENCES,
    )


def _has_settled(deployment: Resource, snapshot: Snapshot) -> bool:
    available = condition(deployment.status, "Available")
    return available is None or available.has_settled(deployment, snapshot)


def _pods(install: Install, snapshot: Snapshot) -> Iterator[Resource]:
    for pod in snapshot.all(POD):
        labelled = text(pod.labels, "control-plane") == "envoy-gateway"
        if labelled and pod.namespace == install.namespace:
            yield pod


def _last_lines(install: Install, snapshot: Snapshot) -> Iterator[str]:
    for control_plane in snapshot.control_planes:
        if not control_plane.has(Probe.EG_LOG):
            continue
        if control_plane.name.startswith(f"{install.namespace}/"):
            for line in control_plane.log.splitlines()[-5:]:
                yield f"log: {line.strip()[:200]}"
