"""EGU-1911 controller-filesystem-read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import HELM_VALUES
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PLACES = (
    ("deployment", "envoyGateway", "securityContext"),
    ("deployment", "pod", "securityContext"),
    ("deployment", "pod", "extraVolumes"),
    ("deployment", "envoyGateway", "extraVolumeMounts"),
)


@rule(
    code="EGU-1911",
    severity=Severity.WARNING,
    reads=(HELM_VALUES,),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="the values leave the security context of the controller alone",
)
def controller_filesystem_read_only(snapshot: Snapshot) -> Iterator[Problem]:
    """The chart makes the file system of the controller read-only and tightens its pod.

    ## Why it matters
    Values that set a security context are merged with the new defaults; containers and mounts of
    one's own that write to the disk or need a ServiceAccount token fail.

    ## How to fix it
    Render the chart with your values and compare; set `readOnlyRootFilesystem: false` or mount an
    `emptyDir` where something writes.
    """
    upgrade_of(snapshot)
    for values in snapshot.all(HELM_VALUES):
        for keys in PLACES:
            if section(values.body, "values", *keys):
                yield change(
                    snapshot,
                    values.at("values", *keys),
                    f"{'.'.join(keys)} meets the hardened defaults of the chart",
                    today="the root file system can be written",
                    after="readOnlyRootFilesystem: true and a restricted pod security context",
                    keep=("set what you need in the values: readOnlyRootFilesystem: false",),
                    verify="helm template shows the security context; the controller is ready",
                    possible="certain if something in the pod writes to the root file system",
                )
