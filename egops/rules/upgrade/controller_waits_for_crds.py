"""EGU-1801 controller-waits-for-crds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CRD
from egops.rules import rule
from egops.snapshot import SourceType
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.everywhere import bundle_crds, lacks
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

NEEDED = (
    ("listenersets", "ListenerSet"),
    ("grpcroutes", "GRPCRoute"),
    ("tlsroutes", "TLSRoute"),
    ("backendtlspolicies", "BackendTLSPolicy"),
)


@rule(
    code="EGU-1801",
    severity=Severity.ERROR,
    reads=(CRD,),
    since="0.1",
    changed_in=(1, 8, 0),
    fixed_in=(1, 9, 0),
    link=notes_link((1, 8, 0)),
    ok="the API server serves every version that the controller insists on",
)
def controller_waits_for_crds(snapshot: Snapshot) -> Iterator[Problem]:
    """The CRDs do not serve a version without which the controller of 1.8 does not start.

    ## Why it matters
    The controller of 1.8 watches ListenerSet, GRPCRoute, TLSRoute and BackendTLSPolicy as v1,
    whether they are used or not. If one of them is not served, its caches never fill: no change
    reaches a proxy, new proxies get no configuration.

    ## How to fix it
    Apply the Gateway API bundle v1.5.1 before the controller. A standard bundle before 1.5 that a
    provider manages can't be used.
    """
    upgrade_of(snapshot)
    crds = bundle_crds(snapshot)
    gateways = crds.get("gateways")
    if gateways is None:
        return
    for plural, kind in NEEDED:
        found = crds.get(plural)
        if found is not None and not lacks(found, "v1"):
            continue
        is_live = snapshot.source.type is SourceType.CLUSTER
        yield change(
            snapshot,
            found.at("spec", "versions") if found else gateways.at(),
            f"{kind} v1 is not served, the controller of 1.8 does not start without it",
            today="the kind is looked up, and left out where it is absent",
            after="the watch fails, the controller never becomes ready",
            keep=("apply the Gateway API CRDs v1.5.1 before the controller",),
            verify=f"kubectl get --raw /apis/gateway.networking.k8s.io/v1 lists {plural}",
            possible="" if found or is_live else f"certain if {plural} is in no other file either",
        )
