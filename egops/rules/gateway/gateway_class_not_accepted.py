"""EGD-201 gateway-class-not-accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    EG,
    ENVOY_GATEWAY,
    ENVOY_PROXY,
    GATEWAY_CLASS,
    our_classes,
)
from egops.rules import rule
from egops.snapshot import section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGD-201",
    severity=Severity.ERROR,
    reads=(GATEWAY_CLASS,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY, ENVOY_PROXY),
    since="0.1",
    ok="every GatewayClass of ours is accepted and its parametersRef resolves",
)
def gateway_class_not_accepted(snapshot: Snapshot) -> Iterator[Problem]:
    """A GatewayClass is not accepted, or its parametersRef leads nowhere.

    ## Why it matters
    All Gateways of the class wait: they get no proxies, or keep what they have and take no
    change. The usual reason is a `parametersRef` that is not group `gateway.envoyproxy.io`, kind
    EnvoyProxy, with a namespace, of an object that exists.

    ## How to fix it
    Correct the parametersRef, create the EnvoyProxy, or remove what the condition complains of.
    """
    for found in our_classes(snapshot):
        refused = conditions.failed(found.status, "Accepted")
        ref = section(found.spec, "parametersRef")
        path, fault, remedy = parameters_fault(found, ref, snapshot)
        if refused is None and not fault:
            continue
        message = fault or (f"is not accepted: {refused.reason}" if refused else "")
        yield Problem(
            found.at("spec", "parametersRef", *path) if fault else found.at(),
            message,
            evidence=(conditions.told(refused),) if refused else (),
            why=refused.message if refused else "",
            remedy=(remedy or "correct what the condition names",),
            severity=conditions.severity(refused, found, Severity.ERROR) if refused else None,
            settled=refused.has_settled(found, snapshot) if refused else True,
            explains=("EGD-204", "EGD-206", "EGD-223", "EGD-224"),
        )


def parameters_fault(
    resource: Resource, ref: object, snapshot: Snapshot, namespace: str = ""
) -> tuple[Path, str, str]:
    """Return where and why a parametersRef leads to no EnvoyProxy, and what to do; else nothing.

    `namespace` is where the EnvoyProxy must be if the reference itself can't say (a Gateway's).
    """
    if not isinstance(ref, dict) or not ref:
        return (), "", ""
    group, kind, name = text(ref, "group"), text(ref, "kind"), text(ref, "name")
    namespace = namespace or text(ref, "namespace")
    if group != EG:
        return ("group",), f"parametersRef has the group {group or 'core'}", f"set group: {EG}"
    if kind != ENVOY_PROXY.name:
        return ("kind",), f"parametersRef has the kind {kind}", f"set kind: {ENVOY_PROXY.name}"
    if not namespace:
        remedy = "set parametersRef.namespace to the namespace of the EnvoyProxy"
        return (), f"parametersRef names EnvoyProxy {name} without a namespace", remedy
    if snapshot.knows(ENVOY_PROXY) and not snapshot.find(ENVOY_PROXY, namespace, name):
        others = ", ".join(f"{p.namespace}/{p.name}" for p in snapshot.all(ENVOY_PROXY)[:8])
        remedy = f"create EnvoyProxy {namespace}/{name}, or name one of: {others or 'none exists'}"
        where = f"{resource.kind} needs EnvoyProxy {namespace}/{name}, which does not exist"
        return ("name",), where, remedy
    return (), "", ""
