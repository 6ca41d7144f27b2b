"""EGD-200 gateway-class-missing."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    GATEWAY_CLASS,
    Install,
    installs,
    is_young,
)
from egops.rules import rule
from egops.snapshot import Location, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-200",
    severity=Severity.ERROR,
    reads=(GATEWAY_CLASS, DEPLOYMENT),
    optional=(ENVOY_GATEWAY,),
    since="0.1",
    ok="a GatewayClass names the controller that Envoy Gateway is configured as",
)
def gateway_class_missing(snapshot: Snapshot) -> Iterator[Problem]:
    """No GatewayClass names the controller that Envoy Gateway is.

    ## Why it matters
    Envoy Gateway serves the Gateways of classes whose `controllerName` equals its own
    (`gateway.controllerName` in its configuration). Without such a class it does nothing, and
    says nothing.

    ## How to fix it
    Create a GatewayClass with that `controllerName`. The field can't be changed in place: a class
    with a typo is deleted and created again.
    """
    if not snapshot.knows(GATEWAY_CLASS):
        raise CannotJudge("no GatewayClass in the input")
    found = {text(entry.spec, "controllerName"): entry for entry in snapshot.all(GATEWAY_CLASS)}
    for install in installs(snapshot):
        if install.controller_name not in found:
            yield _problem(install, found, snapshot)


def _problem(install: Install, found: dict[str, Resource], snapshot: Snapshot) -> Problem:
    name = install.controller_name
    shown = ", ".join(f"{entry.name}: {other}" for other, entry in sorted(found.items())) or "none"
    evidence = (f"Envoy Gateway in {install.namespace} is {name}", f"GatewayClasses: {shown}")
    deployment = install.deployment
    close = get_close_matches(name, found, n=1, cutoff=0.85)
    if close:
        entry = found[close[0]]
        return Problem(
            entry.at("spec", "controllerName"),
            f"{close[0]} is not {name}, the controller in {install.namespace}",
            evidence=evidence,
            remedy=(f"delete GatewayClass {entry.name}, create it with controllerName: {name}",),
            settled=not is_young(entry, snapshot),
            explains=("EGD-224",),
            explains_refs=(str(entry.ref),),
        )
    return Problem(
        _place(install),
        f"no GatewayClass names the controller {name}",
        evidence=evidence,
        remedy=(f"create a GatewayClass with controllerName: {name}",),
        settled=deployment is None or not is_young(deployment, snapshot),
    )


def _place(install: Install) -> Location:
    place = install.deployment or install.config_object
    assert place is not None  # an install is made of one of the two
    return place.at()
