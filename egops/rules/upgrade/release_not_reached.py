"""EGU-0005 release-not-reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    DAEMON_SET,
    DEPLOYMENT,
    ENVOY_GATEWAY,
    POD,
    fleet_key,
    image_version,
    installs,
    is_proxy,
)
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.compared import before
from egops.upgrade.releases import RELEASES, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGU-0005",
    severity=Severity.ERROR,
    reads=(POD, DEPLOYMENT),
    optional=(DAEMON_SET, ENVOY_GATEWAY),
    since="0.1",
    ok="the control plane and every proxy run what the target release ships",
)
def release_not_reached(snapshot: Snapshot) -> Iterator[Problem]:
    """The control plane or a proxy does not run what the target release ships.

    ## Why it matters
    An upgrade is over when the last proxy is replaced. A proxy that stays behind is served by a
    controller that no longer knows it, and the release that was tested is not the one that runs.

    ## How to fix it
    `kubectl rollout status` of the Deployment says what it waits for. An image that is pinned in an
    EnvoyProxy stays as it is until the pin is removed.
    """
    past = before(snapshot)
    step = snapshot.upgrade
    if step is None:
        raise CannotJudge("neither snapshot tells which release is meant (--to)")
    for found in installs(snapshot):
        deployment = found.deployment
        if deployment is None or found.version is None:
            continue
        if found.version != step.to_version:
            yield Problem(
                deployment.at(),
                f"Envoy Gateway is {dotted(found.version)}, not {dotted(step.to_version)}",
                evidence=(f"image {found.image}",),
                remedy=(f"helm upgrade to v{dotted(step.to_version)}, or look why it failed",),
            )
    yield from _pods(snapshot, past, step.to_version)


def _pods(snapshot: Snapshot, past: Snapshot, target: tuple[int, ...]) -> Iterator[Problem]:
    old = {pod.ref for pod in past.all(POD)}
    release = RELEASES.get(target)
    workloads = {
        (fleet_key(each), each.namespace): each
        for each in (*snapshot.all(DEPLOYMENT), *snapshot.all(DAEMON_SET))
        if is_proxy(each)
    }
    for pod in snapshot.all(POD):
        if not is_proxy(pod) or "deletionTimestamp" in pod.metadata:
            continue
        image = _image(pod.spec)
        workload = workloads.get((fleet_key(pod), pod.namespace))
        wanted = _image(section(workload.spec, "template", "spec")) if workload else image
        if image != wanted:
            kept = ", as before the upgrade" if pod.ref in old else ""
            yield Problem(
                pod.at("spec", "containers"),
                f"the proxy runs {image}{kept}; its workload wants {wanted}",
                remedy=(f"kubectl rollout status -n {pod.namespace} {_named(workload)}",),
            )
        elif release and (found := _version(image)) and found[:2] != _version(release.envoy)[:2]:
            yield Problem(
                pod.at("spec", "containers"),
                f"the proxy runs Envoy {dotted(found)}, "
                f"Envoy Gateway {dotted(target)} ships {release.envoy}",
                evidence=(f"image {image}",),
                severity=Severity.WARNING,
                remedy=("remove the image from the EnvoyProxy, or finish the upgrade",),
            )


def _named(workload: Resource | None) -> str:
    return f"{workload.kind.name.lower()}/{workload.name}" if workload is not None else ""


def _version(image: str) -> tuple[int, ...]:
    tag = image.rpartition(":")[2].replace("distroless-", "").replace("dev-", "")
    return image_version(f":{tag}") or ()


def _image(spec: object) -> str:
    for _, container in items(spec, "containers"):
        if text(container, "name") == "envoy":
            return text(container, "image")
    return ""
