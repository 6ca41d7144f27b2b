"""Replace the rate limit service's pods so that no request meets one that is about to stop.

Told to stop, the service closes its listener at once, while its Service still sends to it: Envoys
that connect at that moment are refused or wait in vain, and a rolling restart costs some requests
(seen on a cluster: two to twelve, at 85 a second). So a pod leaves the Service first, and is told
to stop when nobody is sent to it any more. One label does it: `managed-by: egops` fits neither the
Service nor the ReplicaSet, which starts another pod, and says whose it is now. The leaving pod
keeps its open connections; a standby pod, made of the same template, takes new ones meanwhile.

Each step may be repeated: what a killed rotation leaves behind carries our label or our name.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from egops.apply import MANAGED_BY, MANAGER, ConflictError, ObjectName
from egops.rotation.gates import STAMP, pods_of, unready
from egops.rotation.installation import POD
from egops.rotation.world import Awaited

if TYPE_CHECKING:
    from egops.apply import Editor
    from egops.rotation.installation import Workload
    from egops.rotation.world import Pod
    from egops.rotation.writes import Writes

Object = dict[str, Any]

NAME = "egops-standby"
SETTLE = 5.0  # seconds until every kube-proxy has followed, which nothing tells


def leaves_by_label(workload: Workload) -> bool:
    """Return whether our label takes a pod out of the workload, and so out of its Service."""
    chosen = (workload.body.get("spec") or {}).get("selector", {}).get("matchLabels") or {}
    return chosen.get(MANAGED_BY) not in (None, MANAGER)


def standby_pod(workload: Workload, stamp: str) -> Object:
    """Return the pod that stands in: of the workload's template, but nobody's."""
    template = workload.template
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{workload.ref.name}-{NAME}",
            "namespace": workload.ref.namespace,
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**(meta.get("annotations") or {}), STAMP: stamp},
        },
        "spec": template.get("spec") or {},
    }


class Standby:
    """The exchange of a workload's pods for new ones, as gates: each returns what is awaited."""

    def __init__(self, cluster: Editor, writes: Writes, workload: Workload, stamp: str) -> None:
        """Take the workload and what its fresh pods are to be known by."""
        self._cluster, self._writes = cluster, writes
        self._workload, self._stamp = workload, stamp
        self._ref = ObjectName(workload.ref.namespace, f"{workload.ref.name}-{NAME}")

    def stale(self) -> list[Pod]:
        """Return the pods that have not loaded what the stamp stands for."""
        return [pod for pod in self._pods() if pod.stamp != self._stamp and not pod.is_leaving]

    def is_outdated(self) -> bool:
        """Return whether a standby pod is there that loaded something else: an earlier run's."""
        live = self._cluster.find(POD, *self._ref)
        return (
            live is not None
            and (live["metadata"].get("annotations") or {}).get(STAMP) != self._stamp
        )

    def stands_in(self) -> list[Awaited]:
        """Make the standby pod and await that it is Ready."""
        if self._cluster.find(POD, *self._ref) is None:
            with suppress(ConflictError):  # an answer was lost; the next look finds it
                self._cluster.create(POD, standby_pod(self._workload, self._stamp))
        mine = [pod for pod in pods_of(self._cluster, self._workload) if self._is_standby(pod)]
        return unready(mine) or ([] if mine else [Awaited(f"pod {self._ref.name}", "be Ready")])

    def are_replaced(self, stale: list[Pod]) -> list[Awaited]:
        """Take these pods out of the Service and await Ready ones in their place."""
        names = {pod.name for pod in stale}
        for pod in self._pods():
            if pod.name in names:
                self._retire(ObjectName(pod.namespace, pod.name))
        new = [pod for pod in self._pods() if pod.name not in names]
        found = unready(new)
        count = sum(pod.is_ready and not pod.is_leaving for pod in new)
        wanted = (self._workload.body.get("spec") or {}).get("replicas")
        wanted = 1 if wanted is None else wanted
        if not found and count < wanted:
            who = str(self._workload)
            found.append(Awaited(who, f"have {wanted} new pods", f"{count} are Ready"))
        if not found:
            for pod in new:
                self._mark(ObjectName(pod.namespace, pod.name))
        return found

    def leaves(self) -> list[Awaited]:
        """Take the standby pod out of the Service."""
        if self._cluster.find(POD, *self._ref) is not None:
            self._retire(self._ref)
        return []

    def are_gone(self) -> list[Awaited]:
        """Delete the pods that have left the Service and await their end."""
        found = self._retired()
        for body in found:
            if "deletionTimestamp" not in body["metadata"]:
                self._cluster.delete(POD, body, dry_run=False)
        return [Awaited(f"pod {body['metadata']['name']}", "end", "draining") for body in found]

    def is_there(self) -> bool:
        """Return whether anything is left of an exchange."""
        return bool(self._retired()) or self._cluster.find(POD, *self._ref) is not None

    def _retired(self) -> list[Object]:
        chosen = self._workload.body["spec"]["selector"]["matchLabels"] | {MANAGED_BY: MANAGER}
        labels = ",".join(f"{key}={chosen[key]}" for key in sorted(chosen))
        return list(
            self._cluster.list(POD, namespace=self._workload.ref.namespace, labels=labels) or ()
        )

    def _pods(self) -> list[Pod]:
        return [pod for pod in pods_of(self._cluster, self._workload) if not self._is_standby(pod)]

    def _is_standby(self, pod: Pod) -> bool:
        return pod.name == self._ref.name

    def _retire(self, ref: ObjectName) -> None:
        self._patch(ref, "labels", MANAGED_BY, MANAGER)

    def _mark(self, ref: ObjectName) -> None:
        self._patch(ref, "annotations", STAMP, self._stamp)

    def _patch(self, ref: ObjectName, where: str, key: str, text: str) -> None:
        def patch_of(live: Object) -> Object | None:
            held = (live["metadata"].get(where) or {}).get(key)
            return None if held == text else {"metadata": {where: {key: text}}}

        self._writes.change(POD, ref, patch_of)
