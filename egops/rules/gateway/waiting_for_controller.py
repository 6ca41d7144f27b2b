"""EGD-224 waiting-for-controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GATEWAY_CLASS,
    OURS,
    condition,
    controller_names,
    installs,
    is_young,
    our_gateways,
)
from egops.rules import rule
from egops.snapshot import SourceType, entries, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

PREFIX = "gateway.envoyproxy.io/"


@rule(
    code="EGD-224",
    severity=Severity.ERROR,
    reads=(GATEWAY_CLASS, GATEWAY),
    optional=OURS,
    since="0.1",
    ok="Envoy Gateway has taken up every GatewayClass and Gateway of its own",
)
def waiting_for_controller(snapshot: Snapshot) -> Iterator[Problem]:
    """A GatewayClass or Gateway still waits for a controller.

    ## Why it matters
    `Pending` ("Waiting for controller") is what the API server writes; nobody has looked at the
    object since. Envoy Gateway is down, does not see it (its watch scope), or goes by another
    `controllerName`.

    ## How to fix it
    Bring Envoy Gateway up, add the namespace to its watch scope, or correct `controllerName`.
    """
    if snapshot.source.type is SourceType.FILES:
        raise CannotJudge("files hold no status")
    classes = [c for c in snapshot.all(GATEWAY_CLASS) if _looks_like_ours(c, snapshot)]
    for found in classes:
        if pending := _pending(found, snapshot):
            yield _problem(found, pending, snapshot)
    for gateway in our_gateways(snapshot):
        if pending := _pending(gateway, snapshot):
            yield _problem(gateway, pending, snapshot)


def _looks_like_ours(found: Resource, snapshot: Snapshot) -> bool:
    name = text(found.spec, "controllerName")
    return name in controller_names(snapshot) or name.startswith(PREFIX)


def _pending(resource: Resource, snapshot: Snapshot) -> str:
    """Return the condition that still waits, or that there is none; else nothing."""
    if is_young(resource, snapshot):
        return ""
    accepted = condition(resource.status, "Accepted")
    if accepted is None:
        return "no condition Accepted"
    if accepted.status == "Unknown" or accepted.reason in ("Pending", "Waiting"):
        return conditions.told(accepted)
    return ""


def _problem(resource: Resource, pending: str, snapshot: Snapshot) -> Problem:
    evidence = [pending]
    remedy = []
    for install in installs(snapshot):
        replicas = (
            number(install.deployment.status, "availableReplicas") if (install.deployment) else 0
        )
        evidence.append(
            f"Envoy Gateway in {install.namespace}: {replicas} replicas available, controllerName "
            f"{install.controller_name}"
        )
        if not replicas:
            remedy.append(f"bring the deployment envoy-gateway in {install.namespace} up")
        names = entries(section(install.config, "provider", "kubernetes", "watch"), "namespaces")
        if resource.kind == GATEWAY and names and resource.namespace not in names:
            evidence.append(f"it watches namespaces {', '.join(map(str, names))} only")
            remedy.append(f"add {resource.namespace} to provider.kubernetes.watch.namespaces")
    if resource.kind == GATEWAY_CLASS:
        name = text(resource.spec, "controllerName")
        evidence.append(f"{resource.ref} names {name}")
        if name not in controller_names(snapshot):
            ours = ", ".join(sorted(controller_names(snapshot)))
            remedy.append(f"delete the class and create it with controllerName: {ours}")
    return Problem(
        resource.at(),
        "still waits for a controller",
        evidence=tuple(evidence),
        remedy=tuple(remedy) or ("look at the log of Envoy Gateway, and restart it",),
        explains=("EGD-224",),
        explains_refs=tuple(
            str(gateway.ref)
            for gateway in snapshot.all(GATEWAY)
            if resource.kind == GATEWAY_CLASS
            and text(gateway.spec, "gatewayClassName") == resource.name
        )
        or (str(resource.ref),),
    )
