"""EGD-243 route-without-status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    NAMESPACE,
    OURS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    Install,
    installs,
    is_young,
    our_parents,
    our_routes,
)
from egops.listeners import namespace_labels, selects
from egops.rules import rule
from egops.snapshot import SourceType, entries, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-243",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY, DEPLOYMENT),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE, NAMESPACE),
    since="0.1",
    ok="Envoy Gateway has written a status on every route that names its Gateways",
)
def route_without_status(snapshot: Snapshot) -> Iterator[Problem]:
    """A route names a Gateway of ours and Envoy Gateway says nothing of it.

    ## Why it matters
    Envoy Gateway does not see the route: its hosts and paths are not served, and nothing reports
    an error. Usual causes are a watch scope (`provider.kubernetes.watch`) that leaves the route's
    namespace out, and a CRD that was installed after Envoy Gateway started.

    ## How to fix it
    Add the namespace (or its label) to the watch scope, restart Envoy Gateway after installing
    CRDs, or touch the route if only its status was lost.
    """
    if snapshot.source.type is SourceType.FILES:
        raise CannotJudge("files hold no status")
    healthy = [install for install in installs(snapshot) if _is_available(install)]
    if not healthy:
        raise CannotJudge("no Envoy Gateway is available that could write a status")
    for route in our_routes(snapshot):
        if our_parents(route, snapshot) or is_young(route, snapshot):
            continue
        outside = [why for install in healthy if (why := _outside(route, install, snapshot))]
        unseen = len(outside) == len(healthy)
        yield Problem(
            route.at("spec", "parentRefs"),
            "has no status from Envoy Gateway",
            evidence=(
                *outside,
                f"status entries of others: {len(entries(route.status, 'parents'))}",
            ),
            why=outside[0] if unseen else "Envoy Gateway does not see the route, or could not say",
            remedy=(
                (f"add namespace {route.namespace} to provider.kubernetes.watch",)
                if unseen
                else (
                    f"check that the CRD of {route.kind} is older than the pods of Envoy Gateway",
                    *(f"kubectl -n {i.namespace} rollout restart deployment" for i in healthy[:1]),
                )
            ),
            explains=("EGD-144", "EGD-446"),
            explains_refs=(str(route.ref),),
        )


def _is_available(install: Install) -> bool:
    deployment = install.deployment
    return deployment is not None and number(deployment.status, "availableReplicas") > 0


def _outside(route: Resource, install: Install, snapshot: Snapshot) -> str:
    """Return why the install does not watch the route's namespace, or nothing."""
    watch = section(install.config, "provider", "kubernetes", "watch")
    names = entries(watch, "namespaces")
    where = f"{ENVOY_GATEWAY} in {install.namespace}"
    if names and route.namespace not in names:
        return f"{where} watches namespaces {', '.join(map(str, names))} only"
    selector = section(watch, "namespaceSelector")
    if selector and text(watch, "type") != "Namespaces":
        labels = namespace_labels(route.namespace, snapshot)
        if labels is not None and not selects(selector, labels):
            return f"{where} watches namespaces by label, and {route.namespace} has none of them"
    return ""
