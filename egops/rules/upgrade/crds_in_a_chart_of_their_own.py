"""EGU-1804 crds-in-a-chart-of-their-own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import APPLICATION, CONFIG_MAP
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Location, Path, Snapshot

OLD = re.compile(r"gateway-helm/crds\b")


@rule(
    code="EGU-1804",
    severity=Severity.WARNING,
    optional=(*CORE, APPLICATION, CONFIG_MAP),
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
    yield from _old_places(snapshot)
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


def _old_places(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield what deploys or runs files of the folder that is gone."""
    for application in snapshot.all(APPLICATION):
        spec = application.spec
        sources: list[tuple[Path, Mapping[str, Any]]] = [
            (("spec", "source"), section(spec, "source"))
        ]
        sources += [(("spec", "sources", index), body) for index, body in items(spec, "sources")]
        for path, source in sources:
            if OLD.search(text(source, "path")):
                yield _gone(snapshot, application.at(*path, "path"))
    for config in snapshot.all(CONFIG_MAP):
        for key, value in section(config.body, "data").items():
            if isinstance(value, str) and OLD.search(value):
                yield _gone(snapshot, config.at("data", key))


def _gone(snapshot: Snapshot, at: Location) -> Problem:
    return change(
        snapshot,
        at,
        "it names gateway-helm/crds, a folder that is gone",
        today="the CRDs are taken from that folder of the chart",
        after="the folder does not exist: the CRDs stay old",
        keep=("take the CRDs from the chart gateway-crds-helm",),
        verify="the bundle-version annotation of the CRDs",
    )
