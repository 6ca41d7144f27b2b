"""EGD-354 security-policy-on-l4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.attachment import serving_listeners
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    NAMESPACE,
    OURS,
    SECURITY_POLICY,
    TCP_ROUTE,
    TLS_ROUTE,
    is_young,
    our_routes,
    running_version,
)
from egops.listeners import our_listeners
from egops.policies import targets
from egops.rules import rule
from egops.snapshot import items, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

L4 = {"TCP", "TLS"}
HTTP_ONLY = ("cors", "csrf", "jwt", "oidc", "apiKeyAuth", "basicAuth", "extAuth")
HTTP_PRINCIPALS = ("jwt", "headers", "clientIPGeoLocations")
HTTP_RULES = ("cel", "operation")


@rule(
    code="EGD-354",
    severity=Severity.ERROR,
    reads=(SECURITY_POLICY,),
    optional=(*OURS, TCP_ROUTE, TLS_ROUTE, NAMESPACE),
    since="0.1",
    ok="no SecurityPolicy leaves TCP or TLS traffic unprotected that it covers",
)
def security_policy_on_l4(snapshot: Snapshot) -> Iterator[Problem]:
    """A SecurityPolicy covers TCP or TLS traffic on which it can't be enforced.

    ## Why it matters
    On TCP and TLS listeners and their routes Envoy Gateway before 1.6 enforces nothing of a
    SecurityPolicy. From 1.6 on it enforces `authorization` by `clientCIDRs`; JWT, headers, CEL and
    the rest are dropped without a word where the policy comes from the Gateway. Traffic that looks
    protected is open.

    ## How to fix it
    Let the policy target the HTTP listeners by `sectionName`, and write a policy of its own with
    `authorization` by `clientCIDRs` for the TCP and TLS listeners.
    """
    version = running_version(snapshot)
    nothing = version is not None and version < (1, 6)
    for policy in snapshot.all(SECURITY_POLICY):
        dropped = _http_only(policy)
        if nothing:
            dropped = [name for name in (*HTTP_ONLY, "authorization") if policy.spec.get(name)]
        hit = list(_l4(policy, snapshot)) if dropped else []
        if not hit:
            continue
        shown = ", ".join(dict.fromkeys(what for what, _ in hit))
        yield Problem(
            policy.at("spec"),
            f"{', '.join(dropped)} is not enforced on {shown}",
            evidence=tuple(f"{what} is reached as {how}" for what, how in dict.fromkeys(hit)),
            why="this release enforces no SecurityPolicy on TCP and TLS"
            if nothing
            else "only authorization by clientCIDRs works on TCP and TLS",
            remedy=(
                "target the HTTP listeners by sectionName, or the HTTPRoutes",
                "protect TCP and TLS with a policy of its own: authorization by clientCIDRs"
                + (" (Envoy Gateway 1.6 or later)" if nothing else ""),
            ),
            settled=not is_young(policy, snapshot),
        )


def _http_only(policy: Resource) -> list[str]:
    """Return what of the policy needs HTTP."""
    found = [name for name in HTTP_ONLY if policy.spec.get(name)]
    for index, entry in items(policy.spec, "authorization", "rules"):
        principal = section(entry, "principal")
        found += [
            f"authorization rule {index} ({name})"
            for name in (*HTTP_PRINCIPALS, *HTTP_RULES)
            if principal.get(name) or entry.get(name)
        ]
    return found


def _l4(policy: Resource, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield the L4 listeners and routes with traffic that the policy covers, and how."""
    used = _used_listeners(snapshot)
    for target, name in targets(policy, snapshot):
        if target.kind in (TCP_ROUTE, TLS_ROUTE):
            yield str(target.ref), "its target"
            continue
        for listener in our_listeners(snapshot).get(target.ref, []):
            if name not in ("", listener.name) or listener.protocol not in L4:
                continue
            routes = used.get((str(listener.owner.ref), listener.name), [])
            if routes:
                how = f"listener {listener.name} of its target, with {', '.join(routes[:3])}"
                yield f"listener {listener}", how


def _used_listeners(snapshot: Snapshot) -> dict[tuple[str, str], list[str]]:
    key = "l4_routes"
    if key not in snapshot.derived:
        found: dict[tuple[str, str], list[str]] = {}
        for route in our_routes(snapshot, TCP_ROUTE, TLS_ROUTE):
            for listener in serving_listeners(route, snapshot):
                where = (str(listener.owner.ref), listener.name)
                found.setdefault(where, []).append(str(route.ref))
        snapshot.derived[key] = found
    kept: dict[tuple[str, str], list[str]] = snapshot.derived[key]
    return kept
