"""EGU-0010 rejected-by-new-crd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.snapshot import SourceType
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.tightened import KINDS, all_refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

TOLD = {("ClientTrafficPolicy", ("spec", "clientIPDetection", "xForwardedFor"))}  # by EGU-1309
TOLD_REASONS = (  # by EGU-1104
    "tls mode must be Terminate for protocol HTTPS",
    "certificateRefs or options must be specified when mode is Terminate",
)


@rule(
    code="EGU-0010",
    severity=Severity.ERROR,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://gateway.envoyproxy.io/docs/install/install-helm/",
    ok="the CRDs of the target release take every object",
)
def rejected_by_new_crd(snapshot: Snapshot) -> Iterator[Problem]:
    """The CRDs of the target release refuse an object that the installed ones take.

    ## Why it matters
    An apply of the object fails: deployments stop. An object that is stored already stays as it is
    until the next write (before Kubernetes 1.30 even a write of its status is refused).

    ## How to fix it
    Correct the value before the upgrade.
    """
    upgrade_of(snapshot)
    is_live = snapshot.source.type is SourceType.CLUSTER
    for resource, found in all_refusals(snapshot):
        if found.is_pruned or (resource.kind.name, found.path) in TOLD:
            continue
        if found.reason in TOLD_REASONS:
            continue
        yield change(
            snapshot,
            resource.at(*found.path),
            f"the CRD of {found.release} refuses it: {found.reason}",
            today="the value is accepted",
            after="an apply is refused; what is stored stays until the next write",
            keep=("correct the value before the upgrade",),
            verify="kubectl apply --dry-run=server -f FILE",
            severity=Severity.WARNING if is_live or found.possible else Severity.ERROR,
            possible=found.possible,
        )
