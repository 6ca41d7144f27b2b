"""EGU-1202 cpu-limit-gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HELM_VALUES
from egops.rules import rule
from egops.snapshot import entries, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

LIMITS = ("values", "deployment", "envoyGateway", "resources", "limits")


@rule(
    code="EGU-1202",
    severity=Severity.INFO,
    optional=(HELM_VALUES, *CORE),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="the controller keeps the CPU limit that its values set",
)
def cpu_limit_gone(snapshot: Snapshot) -> Iterator[Problem]:
    """The chart no longer limits the CPU of the controller to 500m.

    ## Why it matters
    A namespace with a quota on `limits.cpu` refuses the pod, and a LimitRange gives it another
    limit than before.

    ## How to fix it
    Set `deployment.envoyGateway.resources.limits.cpu` in the values.
    """
    upgrade_of(snapshot)
    given = snapshot.all(HELM_VALUES)
    places = [v.at("values") for v in given if not section(v.body, *LIMITS).get("cpu")]
    install = world(snapshot).install
    if not given and install is not None and install.deployment is not None:
        containers = entries(install.deployment.spec, "template", "spec", "containers")
        limits = [text(one, "resources", "limits", "cpu") for one in containers]
        if "500m" in limits:
            places = [install.deployment.at("spec", "template", "spec", "containers")]
    for place in places:
        yield change(
            snapshot,
            place,
            "the controller loses its CPU limit",
            today="the chart sets limits.cpu: 500m",
            after="there is no CPU limit unless the values set one",
            keep=("set deployment.envoyGateway.resources.limits.cpu: 500m in the values",),
            verify="the pod of the controller starts",
            possible="matters where a LimitRange or a ResourceQuota asks for a limit",
        )
