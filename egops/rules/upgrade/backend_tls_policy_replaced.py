"""EGU-1101 backend-tls-policy-replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TLS_POLICY
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1101",
    severity=Severity.ERROR,
    reads=(BACKEND_TLS_POLICY,),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="no BackendTLSPolicy is of version v1alpha2",
)
def backend_tls_policy_replaced(snapshot: Snapshot) -> Iterator[Problem]:
    """A BackendTLSPolicy is of version v1alpha2, which can not be converted.

    ## Why it matters
    The CRD is replaced by one that serves v1alpha3 only: the object is refused, and without it the
    proxy speaks plain text to the backend.

    ## How to fix it
    Export the objects, delete the CRD, apply the new one, create the objects again with
    `targetRefs` and `validation` instead of `targetRef` and `tls`.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(BACKEND_TLS_POLICY):
        if text(policy.body, "apiVersion").endswith("/v1alpha2"):
            yield change(
                snapshot,
                policy.at("apiVersion"),
                "BackendTLSPolicy v1alpha2 is gone and can't be converted",
                today="v1alpha2 is served",
                after="v1alpha3 is served, with targetRefs and validation",
                keep=(
                    "export the objects and delete the CRD of backendtlspolicies",
                    "apply the new CRDs and create the objects again as v1alpha3",
                ),
                verify="the policy is Accepted=True, the cluster has a transport_socket",
            )
