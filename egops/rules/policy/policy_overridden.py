"""EGD-342 policy-overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    DEPLOYMENT,
    ENVOY_EXTENSION_POLICY,
    ENVOY_GATEWAY,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    LISTENER_SET,
    SECURITY_POLICY,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    X_LISTENER_SET,
    condition,
    our_ancestors,
    parent_refs,
    running_version,
)
from egops.policies import policies_on, targets
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Condition
    from egops.snapshot import Kind, Ref, Resource, Snapshot

# SecurityPolicy fields that keep somebody out
GUARDS = ("jwt", "authorization", "extAuth", "apiKeyAuth", "basicAuth", "oidc")
MERGE_SINCE: dict[Kind, tuple[int, int]] = {
    BACKEND_TRAFFIC_POLICY: (1, 4), SECURITY_POLICY: (1, 8), ENVOY_EXTENSION_POLICY: (1, 9),
}  # fmt: skip
ROUTES = (HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE)


@rule(
    code="EGD-342",
    severity=Severity.WARNING,
    optional=(
        DEPLOYMENT, ENVOY_GATEWAY, GATEWAY, LISTENER_SET, X_LISTENER_SET, *ROUTES,
        SECURITY_POLICY, BACKEND_TRAFFIC_POLICY, CLIENT_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY,
    ),
    since="0.1",
    ok="no policy of a route drops the protection that its Gateway has",
)  # fmt: skip
def policy_overridden(snapshot: Snapshot) -> Iterator[Problem]:
    """A more specific policy replaces this one, perhaps with less protection.

    ## Why it matters
    A policy on a route does not add to the policy on its Gateway, it replaces it as a whole: a
    SecurityPolicy with nothing but CORS on a route takes the Gateway's JWT, authorization,
    external, basic, OIDC or API key authentication away from it. Layering without such a loss is
    normal and reported as information.

    ## How to fix it
    Set `mergeType` on the more specific policy (BackendTrafficPolicy from 1.4, SecurityPolicy from
    1.8, EnvoyExtensionPolicy from 1.9), or repeat the fields that must stay.
    """
    for kind in (
        SECURITY_POLICY, BACKEND_TRAFFIC_POLICY, CLIENT_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY,
    ):  # fmt: skip
        below = _below(snapshot, kind) if kind == SECURITY_POLICY else {}
        for policy in snapshot.all(kind):
            overridden = _overridden(policy, snapshot)
            losses = list(_losses(policy, below, snapshot)) if kind == SECURITY_POLICY else []
            if losses:
                yield _lossy(policy, losses, overridden, snapshot)
            elif overridden:
                yield Problem(
                    policy.at("spec"),
                    "more specific policies replace it for some of its targets",
                    evidence=(conditions.told(overridden),),
                    why=overridden.message,
                    remedy=("nothing, if the layering is meant",),
                    severity=Severity.INFO,
                )


def _overridden(policy: Resource, snapshot: Snapshot) -> Condition | None:
    found = (condition(entry.body, "Overridden") for entry in our_ancestors(policy, snapshot))
    return next((entry for entry in found if entry and entry.is_true), None)


def _below(snapshot: Snapshot, kind: Kind) -> dict[Ref, list[tuple[Resource, Resource]]]:
    """Return the policies on routes, with the route, by the Gateway or ListenerSet above."""
    found: dict[Ref, list[tuple[Resource, Resource]]] = {}
    for ref, policies in policies_on(snapshot, kind).items():
        route = snapshot.get(ref)
        if route is None or route.kind not in ROUTES:
            continue
        for parent in parent_refs(route):
            if parent.ref:
                found.setdefault(parent.ref, []).extend((policy, route) for policy, _ in policies)
    return found


def _losses(
    policy: Resource, below: dict[Ref, list[tuple[Resource, Resource]]], snapshot: Snapshot
) -> Iterator[tuple[Resource, Resource, list[str]]]:
    """Yield each policy that replaces this one, the route, and the guards that get lost."""
    guards = [name for name in GUARDS if policy.spec.get(name)]
    if not guards:
        return
    for target, section_name in targets(policy, snapshot):
        for child, route in below.get(target.ref, []):
            if child.ref == policy.ref or text(child.spec, "mergeType"):
                continue
            if section_name and not _is_on(route, target, section_name):
                continue
            lost = [name for name in guards if not child.spec.get(name)]
            if lost:
                yield child, route, lost


def _is_on(route: Resource, target: Resource, section_name: str) -> bool:
    return any(
        parent.ref == target.ref and parent.section_name in ("", section_name)
        for parent in parent_refs(route)
    )


def _lossy(
    policy: Resource,
    losses: list[tuple[Resource, Resource, list[str]]],
    overridden: Condition | None,
    snapshot: Snapshot,
) -> Problem:
    lost = list(dict.fromkeys(name for _, _, names in losses for name in names))
    children = list(dict.fromkeys(child.ref for child, _, _ in losses))
    routes = list(dict.fromkeys(str(route.ref) for _, route, _ in losses))
    version, since = running_version(snapshot), MERGE_SINCE[policy.kind]
    can_merge = version is None or version >= since
    first = children[0]
    return Problem(
        policy.at("spec"),
        f"{first} drops its {' and '.join(lost)} on {', '.join(routes[:3])}",
        evidence=(
            *(f"{child.ref} on {route.ref} lacks {', '.join(x)}" for child, route, x in losses[:8]),
            *([conditions.told(overridden)] if overridden else []),
        ),
        why="a policy on a route replaces the Gateway's as a whole",
        remedy=(
            f"set mergeType: StrategicMerge on {first}"
            if can_merge
            else f"repeat {', '.join(lost)} in {first} (mergeType needs {since[0]}.{since[1]})",
            "or, if the route is meant to be open, say so in an annotation egops.dev/suppress",
        ),
        related=tuple(child.at("spec") for child, _, _ in losses[:5]),
    )
