"""EGD-143 leader-lease-stale."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    LEASE,
    POD,
    installs,
    is_ready,
    is_young,
    timestamp,
)
from egops.proxies import age
from egops.rules import rule
from egops.snapshot import SourceType, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Install
    from egops.snapshot import Resource, Snapshot

NAME = "5b9825d2.gateway.envoyproxy.io"
LEAST = timedelta(seconds=60)  # a new leader waits for the old lease, and clocks differ


@rule(
    code="EGD-143",
    severity=Severity.ERROR,
    reads=(LEASE, DEPLOYMENT),
    optional=(ENVOY_GATEWAY, POD),
    since="0.1",
    ok="an Envoy Gateway replica leads",
)
def leader_lease_stale(snapshot: Snapshot) -> Iterator[Problem]:
    """No Envoy Gateway replica leads, although some run.

    ## Why it matters
    Only the leader writes status, and creates or changes proxies. All replicas keep serving xDS, so
    traffic goes on, but status is old and new Gateways get no proxy.

    ## How to fix it
    Restart Envoy Gateway. If the lease stays old, its pods can't reach the API server, or may not
    update leases.
    """
    if snapshot.source.type in (SourceType.FILES, SourceType.ENVOY):
        raise CannotJudge("files do not tell when the lease was read")
    for install in installs(snapshot):
        if not _should_lead(install, snapshot):
            continue
        lease = snapshot.find(LEASE, install.namespace, NAME)
        if lease is None:
            yield _problem(install, None, f"lease {NAME} does not exist", snapshot)
            continue
        renewed = timestamp(lease.spec.get("renewTime"))
        holder = text(lease.spec, "holderIdentity")
        patience = max(
            2 * timedelta(seconds=number(lease.spec, "leaseDurationSeconds") or 15), LEAST
        )
        if renewed is None or snapshot.taken_at - renewed > patience:
            since = f"for {age(renewed, snapshot)}" if renewed else "ever"
            gone = "" if _is_there(holder, install, snapshot) else ", whose pod is gone"
            told = f"its lease was not renewed {since}, by {holder or 'nobody'}{gone}"
            yield _problem(install, lease, told, snapshot)


def _should_lead(install: Install, snapshot: Snapshot) -> bool:
    """Return whether replicas run long enough to have a leader, and election is not off."""
    if install.deployment is None or number(install.deployment.status, "availableReplicas") < 1:
        return False
    election = section(install.config, "provider", "kubernetes", "leaderElection")
    pods = [
        pod
        for pod in snapshot.all(POD)
        if pod.namespace == install.namespace
        and text(pod.labels, "control-plane") == "envoy-gateway"
        and is_ready(pod)
    ]
    fresh = bool(pods) and all(is_young(pod, snapshot) for pod in pods)
    return election.get("disable") is not True and not fresh


def _is_there(holder: str, install: Install, snapshot: Snapshot) -> bool:
    name = holder.partition("_")[0]
    return not snapshot.all(POD) or snapshot.find(POD, install.namespace, name) is not None


def _problem(install: Install, lease: Resource | None, told: str, snapshot: Snapshot) -> Problem:
    assert install.deployment is not None
    at = lease.at("spec", "renewTime") if lease else install.deployment.at()
    return Problem(
        at,
        f"no Envoy Gateway replica leads: {told}",
        impact="traffic goes on, but no status is written and no proxy is made or changed",
        evidence=(told,),
        remedy=(
            f"kubectl rollout restart -n {install.namespace} deployment/{install.deployment.name}",
            "if it stays: see whether its pods reach the API server and may update leases",
        ),
        related=(install.deployment.at(),),
        explains=("EGD-144", "EGD-208", "EGD-223", "EGD-224", "EGD-243"),
        settled=not is_young(install.deployment, snapshot),
    )
