"""EGD-150 control-plane-service-empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import endpoints_of
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENDPOINT_SLICE, ENVOY_GATEWAY, SERVICE, installs, is_young
from egops.rules import rule
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Install
    from egops.snapshot import Resource, Snapshot

NAME, PORT = "envoy-gateway", 18000


@rule(
    code="EGD-150",
    severity=Severity.ERROR,
    reads=(SERVICE, ENDPOINT_SLICE, DEPLOYMENT),
    optional=(ENVOY_GATEWAY,),
    since="0.1",
    ok="Service envoy-gateway has a ready endpoint on port 18000",
)
def control_plane_service_empty(snapshot: Snapshot) -> Iterator[Problem]:
    """Service `envoy-gateway` has no ready endpoint for port 18000.

    ## Why it matters
    Proxies reach the control plane through it: those that reconnect find nobody, and new ones get
    no configuration.

    ## How to fix it
    Bring an Envoy Gateway pod to Ready (EGD-100), or correct the Service's selector and ports.
    """
    found = [install for install in installs(snapshot) if install.deployment is not None]
    if not found:
        raise CannotJudge("no Envoy Gateway Deployment was read")
    for install in found:
        service = snapshot.find(SERVICE, install.namespace, NAME)
        if service is None:
            if snapshot.knows(SERVICE):
                yield _problem(install, None, f"Service {install.namespace}/{NAME} does not exist")
            continue
        if is_young(service, snapshot) or not snapshot.knows(ENDPOINT_SLICE):
            continue
        if fault := _fault(service, install, snapshot):
            yield _problem(install, service, fault)


def _fault(service: Resource, install: Install, snapshot: Snapshot) -> str:
    ports = [number(port, "port") for _, port in items(service.spec, "ports")]
    if PORT not in ports:
        return f"Service {service.namespace}/{NAME} has no port {PORT}"
    if endpoints_of(service.ref, snapshot).ready:
        return ""
    selector = section(service.spec, "selector")
    template = section(install.deployment.spec if install.deployment else {}, "template")
    labels = section(template, "metadata", "labels")
    wrong = [f"{k}={v}" for k, v in selector.items() if labels and text(labels, k) != v]
    if wrong:
        return f"its selector {', '.join(wrong)} matches no Envoy Gateway pod"
    return "none of its endpoints is ready"


def _problem(install: Install, service: Resource | None, fault: str) -> Problem:
    assert install.deployment is not None
    available = number(install.deployment.status, "availableReplicas")
    at = service.at("spec") if service else install.deployment.at()
    return Problem(
        at,
        f"proxies can't reach the control plane: {fault}",
        impact="proxies that reconnect or start find no control plane",
        evidence=(f"{available} Envoy Gateway pods are available",),
        why=fault,
        do_now=("do not restart, roll or scale the proxies",),
        remedy=("correct the Service: selector and port 18000 as the chart has them",)
        if available
        else ("bring an Envoy Gateway pod to Ready: EGD-100",),
        related=(install.deployment.at(),),
        explains=("EGD-440",),
    )
