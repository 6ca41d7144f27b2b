"""EGU-1903 route-version-not-served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TLS_POLICY, CRD, TCP_ROUTE, TLS_ROUTE, UDP_ROUTE
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.everywhere import bundle_crds, lacks
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

KINDS = (TCP_ROUTE, UDP_ROUTE, TLS_ROUTE, BACKEND_TLS_POLICY)


@rule(
    code="EGU-1903",
    severity=Severity.ERROR,
    optional=(
        *KINDS,
        CRD,
    ),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="the API server serves v1 of every route kind in use",
)
def route_version_not_served(snapshot: Snapshot) -> Iterator[Problem]:
    """The CRDs do not serve the version in which the controller reads routes.

    ## Why it matters
    The controller of 1.9 reads TCPRoutes, UDPRoutes and TLSRoutes as v1. If the installed bundle
    does not serve it, the routes are skipped without a word and their traffic stops;
    BackendTLSPolicies that are skipped leave the way to the backend in plain text.

    ## How to fix it
    Apply the Gateway API bundle v1.6.1 (experimental channel) before the controller.
    """
    upgrade_of(snapshot)
    crds = bundle_crds(snapshot)
    for kind in KINDS:
        found = crds.get(kind.plural)
        objects = snapshot.all(kind)
        if found is None or not objects or not lacks(found, "v1"):
            continue
        yield change(
            snapshot,
            found.at("spec", "versions"),
            f"{kind.name} v1 is not served: {len(objects)} object(s) will be ignored",
            evidence=tuple(f"object: {one.ref}" for one in objects[:5]),
            today="the controller reads an older version",
            after="the kind is looked up as v1 only, what is not served is skipped silently",
            keep=("apply the Gateway API CRDs v1.6.1 before the controller",),
            verify=f"kubectl get crd {found.name} lists v1; the objects are Accepted=True",
        )
