"""EGU-1601 tls-version-not-served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TLS_POLICY, CRD, TLS_ROUTE
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.everywhere import bundle_crds, lacks
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

READ = ((BACKEND_TLS_POLICY, "v1"), (TLS_ROUTE, "v1alpha3"))


@rule(
    code="EGU-1601",
    severity=Severity.ERROR,
    optional=(
        BACKEND_TLS_POLICY,
        TLS_ROUTE,
        CRD,
    ),
    since="0.1",
    changed_in=(1, 6, 0),
    fixed_in=(1, 8, 0),
    link=notes_link((1, 6, 0)),
    ok="the API server serves the TLS kinds in the version that the controller reads",
)
def tls_version_not_served(snapshot: Snapshot) -> Iterator[Problem]:
    """BackendTLSPolicies or TLSRoutes are not served in the version that the controller reads.

    ## Why it matters
    The controller of 1.6 and 1.7 reads BackendTLSPolicy v1 and TLSRoute v1alpha3. With an older
    bundle they are ignored without a word: backends are spoken to in plain text, TLS routes stop.

    ## How to fix it
    Apply the Gateway API bundle of the target release before the controller.
    """
    upgrade_of(snapshot)
    crds = bundle_crds(snapshot)
    for kind, version in READ:
        found, objects = crds.get(kind.plural), snapshot.all(kind)
        if found is None or not objects or not lacks(found, version):
            continue
        yield change(
            snapshot,
            found.at("spec", "versions"),
            f"{kind.name} {version} is not served: {len(objects)} object(s) will be ignored",
            evidence=tuple(f"object: {one.ref}" for one in objects[:5]),
            today="the controller reads an older version",
            after="the kind is ignored: plain text to the backend, no TLS routes",
            keep=("apply the Gateway API CRDs of the target before the controller",),
            verify=f"kubectl get crd {found.name} lists {version}; the objects are Accepted=True",
        )
