"""EGU-1323 kubernetes-untested."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.rules import rule
from egops.snapshot import Probe, SourceType
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import MATRIX, dotted
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1323",
    severity=Severity.WARNING,
    optional=CORE,
    optional_probes=(Probe.KUBERNETES_VERSION,),
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://gateway.envoyproxy.io/news/releases/matrix/",
    ok="the target release is tested with this Kubernetes",
)
def kubernetes_untested(snapshot: Snapshot) -> Iterator[Problem]:
    """The target release was not tested with the cluster's Kubernetes.

    ## Why it matters
    Nothing in the chart or the code stops it, but nobody has run it. Before Kubernetes 1.30 every
    write of a stored object is checked in full against tightened CRDs.

    ## How to fix it
    Upgrade Kubernetes first, or choose a release whose range holds it.
    """
    step = upgrade_of(snapshot)
    found = re.match(r"v?(\d+)\.(\d+)", snapshot.kubernetes_version)
    if not found:
        what = "was not read" if snapshot.source.type is SourceType.CLUSTER else "is not in files"
        raise CannotJudge(f"the Kubernetes version {what}")
    version = (int(found.group(1)), int(found.group(2)))
    low, high = (tuple(map(int, end.split("."))) for end in MATRIX[step.to_version[:2]].kubernetes)
    anchor = world(snapshot).anchor()
    if low <= version <= high or anchor is None:
        return
    yield change(
        snapshot,
        anchor,
        f"Kubernetes {dotted(version)} is outside of {dotted(low)} to {dotted(high)}, with which "
        f"{dotted(step.to_version[:2])} is tested",
        today="see the support matrix",
        after="the combination is untested",
        keep=("upgrade Kubernetes first" if version < low else "choose a newer release",),
        verify="kubectl version",
    )
