"""EGU-1913 autoscaler-left-alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "provider", "kubernetes")


@rule(
    code="EGU-1913",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no fleet has both an autoscaler and a fixed number of replicas",
)
def autoscaler_left_alone(snapshot: Snapshot) -> Iterator[Problem]:
    """A fleet with an autoscaler and fixed `replicas` follows the autoscaler again.

    ## Why it matters
    From 1.3 to 1.8 every reconcile set the fixed number again. From 1.9 on the autoscaler decides:
    the number of proxies can become another one.

    ## How to fix it
    Nothing; remove `replicas`, which has no effect any more.
    """
    if upgrade_of(snapshot).from_version < (1, 3):
        return
    for proxy in snapshot.all(ENVOY_PROXY):
        block = section(proxy.spec, *PATH[1:])
        if not section(block, "envoyHpa") or "replicas" not in section(block, "envoyDeployment"):
            continue
        path = (*PATH, "envoyDeployment", "replicas")
        yield change(
            snapshot,
            proxy.at(*path),
            "replicas no longer fights with the autoscaler",
            today="every reconcile sets the fixed number again",
            after="the autoscaler alone decides",
            keep=("remove envoyDeployment.replicas",),
            verify="kubectl get hpa shows the number it wants",
            fix_patch=patch(proxy, path),
        )
