"""EGU-1315 hpa-fights-replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_GATEWAY, ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGU-1315",
    severity=Severity.WARNING,
    optional=(ENVOY_PROXY, ENVOY_GATEWAY),
    since="0.1",
    changed_in=(1, 3, 0),
    fixed_in=(1, 9, 0),
    link="https://github.com/envoyproxy/gateway/pull/5021",
    ok="no fleet has both an autoscaler and a fixed number of replicas",
)
def hpa_fights_replicas(snapshot: Snapshot) -> Iterator[Problem]:
    """A fleet with an autoscaler and fixed `replicas` is set back at every reconcile.

    ## Why it matters
    With `envoyHpa` set, the number of replicas was left to the autoscaler. From 1.3 to 1.8 the
    controller writes `replicas` as well, by force: under load the fleet is shrunk again and again.

    ## How to fix it
    Remove `replicas`; `envoyHpa.minReplicas` is the lower bound.
    """
    upgrade_of(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        place: Path = ("spec", "provider", "kubernetes")
        yield from _judge(snapshot, proxy, place, "envoyHpa", "envoyDeployment")
    for config in snapshot.all(ENVOY_GATEWAY):
        place = ("provider", "kubernetes")
        yield from _judge(snapshot, config, place, "rateLimitHpa", "rateLimitDeployment")


def _judge(
    snapshot: Snapshot, resource: Resource, place: Path, hpa: str, workload: str
) -> Iterator[Problem]:
    keys = [str(part) for part in place]
    replicas = section(resource.body, *keys, workload).get("replicas")
    if replicas is None or not isinstance(section(resource.body, *keys).get(hpa), dict):
        return
    path = (*place, workload, "replicas")
    yield change(
        snapshot,
        resource.at(*path),
        f"{hpa} and {workload}.replicas: {replicas} fight over the number of replicas",
        today=f"replicas is left out, {hpa} alone decides",
        after=f"every reconcile sets {replicas} replicas again",
        keep=(f"remove {workload}.replicas, set {hpa}.minReplicas to {replicas}",),
        verify="kubectl get deploy -w: the replicas stay at the autoscaler's figure",
        fix_patch=patch(resource, path),
    )
