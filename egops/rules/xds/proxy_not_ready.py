"""EGD-448 proxy-not-ready."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import EVENT, POD, condition, fleet_key, is_proxy, timestamp
from egops.proxies import ago, require
from egops.rules import rule
from egops.snapshot import Probe, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from egops.snapshot import Proxy, Resource, Snapshot

SETTLE = timedelta(seconds=60)
IMAGE = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ImageInspectError")
CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@rule(
    code="EGD-448",
    severity=Severity.ERROR,
    reads=(POD,),
    optional=(EVENT,),
    optional_probes=(Probe.SERVER_INFO, Probe.READY),
    since="0.1",
    ok="every proxy pod is Ready",
)
def proxy_not_ready(snapshot: Snapshot) -> Iterator[Problem]:
    """A proxy pod is not Ready.

    ## Why it matters
    It gets no traffic from its Service; if it is the last one, the Gateway is down.

    ## How to fix it
    The class of the failure tells: no node fits (scheduling), the image can't be pulled, the
    container crashes or was killed for memory, or the readiness probe fails. A refused probe on
    port 19003 means that no configuration arrived yet (EGD-440, EGD-442); a 503 means that the
    proxy drains (EGD-454).
    """
    require(snapshot, POD)
    for pod in snapshot.all(POD):
        if not is_proxy(pod) or "deletionTimestamp" in pod.metadata:
            continue
        ready = condition(pod.status, "Ready")
        if ready is not None and ready.is_true:
            continue
        if text(pod.status, "phase") == "Succeeded":
            continue
        since = (ready.since if ready else None) or timestamp(pod.metadata.get("creationTimestamp"))
        yield _problem(pod, since, snapshot)


class Cause(NamedTuple):
    """Why the pod is not Ready."""

    message: str
    why: str
    remedy: tuple[str, ...]


def _problem(pod: Resource, since: datetime | None, snapshot: Snapshot) -> Problem:
    cause = _cause(pod, snapshot)
    return Problem(
        pod.at(),
        cause.message + (f", {ago(since, snapshot)}" if since else ""),
        impact="it gets no traffic",
        evidence=_evidence(pod, snapshot),
        why=cause.why,
        remedy=cause.remedy,
        explains=("EGD-206", "EGD-451", "EGD-453", "EGD-459"),
        explains_refs=(str(pod.ref), *_gateway(pod)),
        settled=since is None or snapshot.taken_at - since >= SETTLE,
    )


def _gateway(pod: Resource) -> tuple[str, ...]:
    """Return the Gateway of the fleet as findings spell it."""
    key = fleet_key(pod)
    return (f"Gateway {key}",) if "/" in key else ()


def _cause(pod: Resource, snapshot: Snapshot) -> Cause:
    if found := _scheduling(pod):
        return found
    for status in _containers(pod):
        if found := _container(status):
            return found
    if text(pod.status, "phase") == "Failed":
        reason = text(pod.status, "reason") or "Failed"
        return Cause(
            f"pod failed: {reason}",
            text(pod.status, "message"),
            ("see the node's pressure and limits; the Deployment replaces the pod",),
        )
    return _probe(pod, snapshot)


def _scheduling(pod: Resource) -> Cause | None:
    scheduled = condition(pod.status, "PodScheduled")
    if scheduled is None or not scheduled.is_false:
        return None
    return Cause(
        f"pod is not scheduled ({scheduled.reason or 'Pending'})",
        scheduled.message,
        ("change what keeps it off the nodes: resources, nodeSelector, affinity, taints, ports",),
    )


def _containers(pod: Resource) -> Iterator[Mapping[str, Any]]:
    for field in ("initContainerStatuses", "containerStatuses"):
        for _, status in items(pod.status, field):
            yield status


def _container(status: Mapping[str, Any]) -> Cause | None:
    name = text(status, "name")
    waiting = section(status, "state", "waiting")
    reason, message = text(waiting, "reason"), text(waiting, "message")
    if reason in IMAGE:
        remedy = (f"correct the image {text(status, 'image')}, its registry or the pull secret",)
        return Cause(f"container {name} has no image ({reason})", message, remedy)
    if reason in CONFIG:
        remedy = ("create the Secret or ConfigMap it names, or correct the EnvoyProxy",)
        return Cause(f"container {name} can't be made ({reason})", message, remedy)
    ended = section(status, "state", "terminated")
    terminated = ended or section(status, "lastState", "terminated")
    if text(terminated, "reason") == "OOMKilled":
        return Cause(
            f"container {name} was killed for memory",
            f"OOMKilled, {number(status, 'restartCount')} restarts",
            ("raise its memory limit in the EnvoyProxy, or cut statistics and connections",),
        )
    if reason == "CrashLoopBackOff" or ended:
        code = number(terminated, "exitCode", default=-1)
        told = text(terminated, "message") or text(terminated, "reason")
        restarts = number(status, "restartCount")
        return Cause(
            f"container {name} crashes (exit code {code}, {restarts} restarts)",
            told,
            (f"read its last words: kubectl logs -c {name} --previous",),
        )
    return None


def _probe(pod: Resource, snapshot: Snapshot) -> Cause:
    proxy = next((p for p in snapshot.proxies if p.pod is not None and p.pod.ref == pod.ref), None)
    state = _state(proxy)
    told = " ".join(_events(pod, snapshot))
    message = "pod is not Ready: its readiness probe fails"
    if state == "DRAINING" or "statuscode: 503" in told:
        return Cause(message, "the proxy drains (503)", ("see EGD-454: delete the pod",))
    if state in ("PRE_INITIALIZING", "INITIALIZING") or "connection refused" in told:
        why = "no configuration arrived yet" + (f" (state {state})" if state else "")
        remedy = ("see why: EGD-440 (not connected), EGD-442 (warming), EGD-142 (not published)",)
        return Cause(message, why, remedy)
    ready = condition(pod.status, "Ready")
    return Cause(
        "pod is not Ready",
        ready.message if ready else text(pod.status, "message"),
        ("read the pod's events and the log of container envoy",),
    )


def _state(proxy: Proxy | None) -> str:
    if proxy is None:
        return ""
    if proxy.has(Probe.READY):
        return proxy.documents[Probe.READY].decode("utf-8", "replace").strip()
    return proxy.server_info.state if proxy.has(Probe.SERVER_INFO) else ""


def _events(pod: Resource, snapshot: Snapshot) -> list[str]:
    return [
        f"{text(event.body, 'reason')}: {text(event.body, 'message')}"
        for event in snapshot.all(EVENT)
        if text(event.body, "involvedObject", "kind") == "Pod"
        and text(event.body, "involvedObject", "name") == pod.name
        and event.namespace == pod.namespace
        and text(event.body, "type") == "Warning"
    ]


def _evidence(pod: Resource, snapshot: Snapshot) -> tuple[str, ...]:
    found = []
    for status in _containers(pod):
        waiting = section(status, "state", "waiting")
        if status.get("ready") is not True or waiting:
            state = text(waiting, "reason") or next(iter(section(status, "state")), "unknown")
            restarts = number(status, "restartCount")
            found.append(f"container {text(status, 'name')}: {state}, {restarts} restarts")
    return (*found, *_events(pod, snapshot)[-3:])
