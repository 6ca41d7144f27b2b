"""EGD-454 proxy-draining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import is_young
from egops.proxies import short_name, unanswered
from egops.rules import rule
from egops.snapshot import Probe, items, number, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.snapshot import Proxy, Resource, Snapshot

MANAGER = "shutdown-manager"


@rule(
    code="EGD-454",
    severity=Severity.ERROR,
    probes=(Probe.READY,),
    optional_probes=(Probe.SERVER_INFO,),
    since="0.1",
    ok="no proxy drains while its pod stays",
)
def proxy_draining(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy drains for good although its pod is not being deleted.

    ## Why it matters
    It answers 503 to readiness probes, so it leaves the Service and does not come back: draining
    can't be undone. The usual cause is a restart of the container `shutdown-manager`, whose preStop
    hook drained Envoy. From Envoy Gateway 1.4 a liveness probe restarts it after some minutes.

    ## How to fix it
    Delete the pod. If shutdown-manager restarts again, raise its resources in the EnvoyProxy.
    """
    if not any(proxy.pod for proxy in snapshot.proxies):
        raise CannotJudge("the pod of no proxy is known")
    for proxy in snapshot.proxies:
        pod = proxy.pod
        if pod is None or not proxy.has(Probe.READY) or "deletionTimestamp" in pod.metadata:
            continue
        answer = proxy.documents[Probe.READY].decode("utf-8", "replace").strip()
        if not answer.startswith("DRAINING"):
            continue
        restarts = _restarts(pod)
        yield Problem(
            pod.at(),
            "Envoy drains although the pod is not being deleted",
            impact="the proxy gets no traffic any more, and does not recover by itself",
            evidence=(f"/ready: {answer}", *_evidence(proxy), f"{MANAGER}: {restarts} restarts"),
            why=f"container {MANAGER} restarted {restarts} times: its preStop hook drains Envoy"
            if restarts
            else "somebody failed its health check through the admin interface",
            remedy=(
                f"kubectl delete pod -n {pod.namespace} {short_name(proxy)}",
                *((f"raise the resources of {MANAGER} in the EnvoyProxy",) if restarts else ()),
            ),
            explains=("EGD-453", "EGD-448"),
            explains_refs=(str(pod.ref),),
            settled=not is_young(pod, snapshot),
        )
    yield from unanswered(snapshot, Probe.READY)


def _restarts(pod: Resource) -> int:
    for _, status in items(pod.status, "containerStatuses"):
        if text(status, "name") == MANAGER:
            return number(status, "restartCount")
    return 0


def _evidence(proxy: Proxy) -> tuple[str, ...]:
    if proxy.has(Probe.SERVER_INFO):
        return (f"/server_info: {proxy.server_info.state}",)
    return ()
