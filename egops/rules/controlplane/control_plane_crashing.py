"""EGD-140 control-plane-crashing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from egops.eglog import lines
from egops.finding import Problem, Severity
from egops.gatewayapi import POD, timestamp
from egops.proxies import ago
from egops.rules import rule
from egops.snapshot import Probe, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Resource, Snapshot

RECOVERED = timedelta(minutes=10)
KILLED, CRASHED = timedelta(hours=24), timedelta(hours=1)
OFTEN = 2


@rule(
    code="EGD-140",
    severity=Severity.ERROR,
    reads=(POD,),
    optional_probes=(Probe.EG_LOG,),
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
        why=text(ended, "message")
        or ("" if status.get("ready") is True else _last_words(pod, snapshot)),
        remedy=(f"raise its memory limit (now {limit or 'none'}), or watch fewer namespaces",)
        if killed
        else (f"kubectl logs -n {pod.namespace} {pod.name} --previous",),
        severity=_severity(status, killed=killed, passed=passed),
        explains=("EGD-102", "EGD-142", "EGD-144"),
    )


def _severity(status: Mapping[str, Any], *, killed: bool, passed: timedelta) -> Severity | None:
    """Return how bad it is: a crash that the pod has recovered from is milder."""
    if killed or status.get("ready") is not True:
        return None
    return Severity.WARNING if passed <= RECOVERED else Severity.INFO


def _last_words(pod: Resource, snapshot: Snapshot) -> str:
    """Return the last error in the pod's log, or an empty string."""
    for asked in snapshot.control_planes:
        if asked.pod is not None and asked.pod.ref == pod.ref and asked.has(Probe.EG_LOG):
            errors = [line for line in lines(asked.log) if line.level in ("error", "fatal")]
            if errors:
                return f"{errors[-1].message}: {errors[-1].error}".removesuffix(": ")
            return next(
                (raw.strip() for raw in reversed(asked.log.splitlines()) if raw.strip()), ""
            )[:200]
    return ""


def _limit(pod: Resource) -> str:
    for _, container in items(pod.spec, "containers"):
        if text(container, "name") == "envoy-gateway":
            return text(container, "resources", "limits", "memory")
    return ""
