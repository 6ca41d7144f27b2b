"""EGU-0008 container-restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, POD, installs, is_proxy
from egops.rules import rule
from egops.snapshot import items, number, section, text
from egops.upgrade.compared import before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGU-0008",
    severity=Severity.WARNING,
    reads=(POD,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="no container of a proxy or of the control plane has restarted since",
)
def container_restarted(snapshot: Snapshot) -> Iterator[Problem]:
    """A container of a proxy or of the control plane has restarted since the upgrade.

    ## Why it matters
    A replaced pod starts at zero restarts. One that counts again so soon crashes: out of memory, on
    a panic of the new controller, or on a probe that the new release moved.

    ## How to fix it
    The reason of the last termination is in the finding; `kubectl logs --previous` has the rest.
    """
    past = before(snapshot)
    for pod in snapshot.all(POD):
        if not is_proxy(pod) and not _is_controller(pod, snapshot):
            continue
        old = past.get(pod.ref)
        counts = dict(_restarts(old)) if old is not None else {}
        for index, status in items(pod.status, "containerStatuses"):
            name = text(status, "name")
            grown = number(status, "restartCount") - counts.get(name, 0)
            if grown > 0:
                times = "once" if grown == 1 else f"{grown} times"
                yield Problem(
                    pod.at("status", "containerStatuses", index, section=name),
                    f"container {name} has restarted {times} since the upgrade",
                    why=_reason(status),
                    remedy=(f"kubectl logs -n {pod.namespace} {pod.name} -c {name} --previous",),
                )


def _is_controller(pod: Resource, snapshot: Snapshot) -> bool:
    for found in installs(snapshot):
        if found.deployment is None or pod.namespace != found.namespace:
            continue
        labels = section(found.deployment.spec, "selector", "matchLabels")
        if labels and all(pod.labels.get(key) == value for key, value in labels.items()):
            return True
    return False


def _restarts(pod: Resource) -> Iterator[tuple[str, int]]:
    for _, status in items(pod.status, "containerStatuses"):
        yield text(status, "name"), number(status, "restartCount")


def _reason(status: Mapping[str, Any]) -> str:
    ended = section(status, "lastState", "terminated")
    if not ended:
        return ""
    return f"{text(ended, 'reason') or 'ended'}, exit code {number(ended, 'exitCode')}"
