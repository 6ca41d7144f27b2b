"""EGD-140 control-plane-crashing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import POD, timestamp
from egops.proxies import ago
from egops.rules import rule
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Resource, Snapshot

KILLED, CRASHED = timedelta(hours=24), timedelta(hours=1)
OFTEN = 2


@rule(
    code="EGD-140",
    severity=Severity.ERROR,
    reads=(POD,),
    since="0.1",
    ok="no Envoy Gateway pod was killed for memory or keeps crashing",
)
def control_plane_crashing(snapshot: Snapshot) -> Iterator[Problem]:
    """An Envoy Gateway pod was killed for memory, or keeps crashing.

    ## Why it matters
    After each start the whole configuration is built anew. Until then proxies get nothing, and a
    proxy that starts in that time stays without configuration.

    ## How to fix it
    Killed for memory: raise `deployment.envoyGateway.resources.limits.memory` (the chart sets
    1024Mi) or narrow the watched namespaces. A crash: its last words name the cause; exit code 2
    is a Go panic, often of one object that can be removed.
    """
    for pod in snapshot.all(POD):
        if text(pod.labels, "control-plane") != "envoy-gateway":
            continue
        if "deletionTimestamp" in pod.metadata:
            continue
        for index, status in items(pod.status, "containerStatuses"):
            if text(status, "name") == "envoy-gateway":
                yield from _judge(pod, index, status, snapshot)


def _judge(
    pod: Resource, index: int, status: Mapping[str, Any], snapshot: Snapshot
) -> Iterator[Problem]:
    ended = section(status, "lastState", "terminated") or section(status, "state", "terminated")
    at = timestamp(ended.get("finishedAt"))
    passed = snapshot.taken_at - at if at else timedelta(0)
    restarts = number(status, "restartCount")
    killed = text(ended, "reason") == "OOMKilled" and passed <= KILLED
    crashes = bool(ended) and restarts >= OFTEN and passed <= CRASHED
    if not (killed or crashes):
        return
    limit = _limit(pod)
    code = number(ended, "exitCode", default=-1)
    yield Problem(
        pod.at("status", "containerStatuses", index),
        "Envoy Gateway was killed for memory"
        if killed
        else f"Envoy Gateway crashed {restarts} times, the last time with exit code {code}",
        impact="while it is down proxies get no changes, and new ones no configuration",
        evidence=(
            f"last ended: {text(ended, 'reason') or '?'}, exit code {code}, {ago(at, snapshot)}",
            f"{restarts} restarts",
            f"memory limit: {limit or 'none'}",
        ),
        why=text(ended, "message"),
        remedy=(f"raise its memory limit (now {limit or 'none'}), or watch fewer namespaces",)
        if killed
        else (f"kubectl logs -n {pod.namespace} {pod.name} --previous",),
        explains=("EGD-102", "EGD-142", "EGD-144"),
    )


def _limit(pod: Resource) -> str:
    for _, container in items(pod.spec, "containers"):
        if text(container, "name") == "envoy-gateway":
            return text(container, "resources", "limits", "memory")
    return ""
