"""EGU-1804 crds-in-a-chart-of-their-own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1804",
    severity=Severity.INFO,
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="nothing is installed that would have to be upgraded",
)
def crds_in_a_chart_of_their_own(snapshot: Snapshot) -> Iterator[Problem]:
    """The CRDs moved into a chart of their own, with a policy that guards them.

    ## Why it matters
    Scripts that apply `gateway-helm/crds/…` find no such folder. The bundle brings the admission
    policy `safe-upgrades`, which refuses to go back below Gateway API 1.5.

    ## How to fix it
    Render `gateway-crds-helm` and apply it on the server side before the controller.
    """
    upgrade_of(snapshot)
    yield from once(
        snapshot,
        "the CRDs come from the chart gateway-crds-helm",
        today="they are in the folder crds of gateway-helm",
        after="gateway-helm/crds is gone; going back below Gateway API 1.5 is refused",
        keep=(
            "helm template eg-crds oci://docker.io/envoyproxy/gateway-crds-helm --version VERSION "
            "--set crds.gatewayAPI.enabled=true --set crds.envoyGateway.enabled=true "
            "| kubectl apply --force-conflicts --server-side -f -",
        ),
        verify="kubectl get crd gateways.gateway.networking.k8s.io -o yaml | grep bundle-version",
        possible="certain if a script applies files of the chart",
    )
