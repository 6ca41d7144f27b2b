"""Gates between the phases: what has to be seen on every pod before the next write is safe.

Each returns what is still awaited; nothing means that the gate is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.certs import chain_to, same_serial
from egops.errors import EgopsError
from egops.gather.asker import CutError
from egops.rotation.installation import (
    POD,
    RATE_LIMIT_PORT,
    RATE_LIMIT_XDS,
    WASM,
    WEBHOOK_PORT,
    XDS,
)
from egops.rotation.material import GATEWAY, PROXY, RATE_LIMIT
from egops.rotation.world import Awaited, Context, Pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.apply import Cluster
    from egops.rotation.generation import Generation
    from egops.rotation.installation import Installation, Workload
    from egops.rotation.world import Observer

Object = dict[str, Any]

STAMP = "egops.dev/certs"
MOUNTED = "/certs/"  # a context that names a file there read it once; SDS gives `<inline>`
CLOSED = ("nothing listens", "connection refused")


def pods_of(cluster: Cluster, workload: Workload) -> list[Pod]:
    """Return the pods of a workload that run or are about to, leaving ones too."""
    listed = cluster.list(POD, namespace=workload.ref.namespace, labels=workload.labels) or ()
    return sorted(
        _pod(one)
        for one in listed
        if (one.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def _pod(body: Object) -> Pod:
    meta, status = body["metadata"], body.get("status") or {}
    conditions = {one.get("type"): one.get("status") for one in status.get("conditions") or ()}
    return Pod(
        meta.get("namespace", ""),
        meta["name"],
        str((body.get("spec") or {}).get("nodeName") or ""),
        str((meta.get("annotations") or {}).get(STAMP) or ""),
        conditions.get("Ready") == "True",
        "deletionTimestamp" in meta,
    )


def unready(pods: Iterable[Pod]) -> list[Awaited]:
    """Return the pods that are not ready."""
    return [
        Awaited(f"pod {pod}", "be Ready", f"node {pod.node}" if pod.node else "not scheduled")
        for pod in pods
        if not pod.is_ready and not pod.is_leaving
    ]


class Gates:
    """What is asked of the pods of one installation."""

    def __init__(self, cluster: Cluster, observer: Observer, here: Installation) -> None:
        """Take the cluster and the eyes."""
        self._cluster, self._observer, self._here = cluster, observer, here

    # -------------------------------------------------------------- trust

    def gateways_trust(self, goal: Generation) -> list[Awaited]:
        """Await that every Envoy Gateway takes client certificates of a generation."""
        return self._of_gateways(lambda pod: self._takes(pod, goal))

    def gateways_refuse(self, other: Generation) -> list[Awaited]:
        """Await that no Envoy Gateway takes client certificates of a generation any more."""
        return self._of_gateways(lambda pod: self._refuses(pod, other))

    def proxies_trust(self, goal: Generation, other: Generation) -> list[Awaited]:
        """Await that every Envoy's hot contexts have the goal's CA; static ones are `stale`."""
        return self._of_proxies(lambda pod: self._hot(pod, goal, other))

    def stale_fleets(self, goal: Generation) -> list[Workload]:
        """Return the fleets with an Envoy that read another CA from a file and never again.

        Which one does not matter: it may be that of a rotation before, given up long ago.
        """
        serials = _serials(goal)
        return self._fleets_with(
            lambda one: one.ca_path.startswith(MOUNTED) and not _is(one.ca_serial, serials)
        )

    def stale_leaf_fleets(self, goal: Generation) -> list[Workload]:
        """Return the fleets with an Envoy that read another leaf once, and is asked for it.

        Before 1.5 that is the rate limit cluster's; the service asks for none, unless told to.
        """
        if not self._here.rate_limit_checks_clients:
            return []
        serial = goal.leaf(PROXY).serial
        return self._fleets_with(
            lambda one: (
                one.leaf_path.startswith(MOUNTED) and not same_serial(one.leaf_serial, serial)
            )
        )

    def _fleets_with(self, is_stale: Callable[[Context], bool]) -> list[Workload]:
        return [
            fleet
            for fleet in self._here.fleets
            if any(
                is_stale(context)
                for pod in pods_of(self._cluster, fleet)
                if not pod.is_leaving
                for context in self._observer.contexts(pod)
            )
        ]

    # -------------------------------------------------------------- leaves

    def gateways_serve(self, goal: Generation, *, webhook: bool) -> list[Awaited]:
        """Await that every server of every Envoy Gateway shows the goal's leaf."""
        ports = [XDS, WASM, *([RATE_LIMIT_XDS] if self._here.rate_limit else [])]
        ports += [WEBHOOK_PORT] if webhook else []
        return self._of_gateways(
            lambda pod: [each for port in ports for each in self._serves(pod, port, goal, GATEWAY)]
        )

    def limiters_serve(self, goal: Generation) -> list[Awaited]:
        """Await that every rate limit pod shows the goal's leaf."""
        if self._here.rate_limit is None:
            return []
        pods = pods_of(self._cluster, self._here.rate_limit)
        here = [pod for pod in pods if not pod.is_leaving]
        found = unready(pods)
        return found or self._observer.each(
            lambda pod: self._serves(pod, RATE_LIMIT_PORT, goal, RATE_LIMIT), here
        )

    def proxies_present(self, goal: Generation, other: Generation) -> list[Awaited]:
        """Await that every Envoy presents the goal's leaf wherever it can load one."""
        if self._here.is_gateway_namespace_mode and not self._proxies_have_leaves():
            return []
        return self._of_proxies(lambda pod: self._presents(pod, goal, other))

    def _proxies_have_leaves(self) -> bool:
        # with a token instead of a certificate, only clusters of SDS over ADS (1.5 on) have one
        return (self._here.version or (9,)) >= (1, 5) and self._here.rate_limit is not None

    # -------------------------------------------------------------- rollouts

    def rolled_out(self, workload: Workload, stamp: str) -> list[Awaited]:
        """Await that all pods of a workload carry the stamp and are Ready, and no other is left."""
        live = self._cluster.find(workload.api, *workload.ref)
        if live is None:
            return [Awaited(str(workload), "exist again")]
        status, meta = live.get("status") or {}, live["metadata"]
        if (status.get("observedGeneration") or 0) < (meta.get("generation") or 0):
            return [Awaited(str(workload), "be seen by its controller")]
        pods = pods_of(self._cluster, workload)
        old = [pod for pod in pods if pod.stamp != stamp]
        found = [
            Awaited(f"pod {pod}", "end", "draining" if pod.is_leaving else "still serving")
            for pod in old
        ]
        found += unready(pod for pod in pods if pod.stamp == stamp)
        wanted = _wanted(live)
        count = sum(pod.is_ready for pod in pods if pod.stamp == stamp and not pod.is_leaving)
        if not found and count < wanted:
            found.append(Awaited(str(workload), f"have {wanted} new pods", f"{count} are Ready"))
        return found

    # -------------------------------------------------------------- one pod

    def _of_gateways(self, ask: Any) -> list[Awaited]:
        pods = pods_of(self._cluster, self._here.gateway)
        if not any(pod.is_ready for pod in pods):
            return [Awaited(str(self._here.gateway), "have a Ready pod")]
        here = [pod for pod in pods if not pod.is_leaving]
        return unready(pods) or self._observer.each(_patient(ask), here)

    def _of_proxies(self, ask: Any) -> list[Awaited]:
        found: list[Awaited] = []
        for fleet in self._here.fleets:
            pods = pods_of(self._cluster, fleet)
            found += unready(pods)
            found += [Awaited(f"pod {pod}", "end", "draining") for pod in pods if pod.is_leaving]
            staying = [pod for pod in pods if pod.is_ready and not pod.is_leaving]
            found += self._observer.each(_patient(ask), staying)
        return found

    def _clients(self) -> dict[int, str]:
        ports = {} if self._here.is_gateway_namespace_mode else {XDS: PROXY}
        return ports | ({RATE_LIMIT_XDS: RATE_LIMIT} if self._here.rate_limit else {})

    def _takes(self, pod: Pod, goal: Generation) -> list[Awaited]:
        found = []
        for port, secret in self._clients().items():
            seen = self._observer.handshake(pod, port, goal.pairs[secret])
            if seen.accepted is not True:
                what = f"accept a client of the {goal.name} CA on port {port}"
                found.append(Awaited(f"pod {pod} on {pod.node}", what, seen.reason))
        return found

    def _refuses(self, pod: Pod, other: Generation) -> list[Awaited]:
        found = []
        for port, secret in self._clients().items():
            seen = self._observer.handshake(pod, port, other.pairs[secret])
            if seen.accepted is not False:
                what = f"refuse a client of the {other.name} CA on port {port}"
                found.append(Awaited(f"pod {pod} on {pod.node}", what, seen.reason or "accepted"))
        return found

    def _serves(self, pod: Pod, port: int, goal: Generation, secret: str) -> list[Awaited]:
        seen = self._observer.handshake(pod, port)
        if seen.leaf == goal.leaf(secret).fingerprint:
            return []
        if not seen.leaf and port in (WASM, WEBHOOK_PORT) and _is_closed(seen.reason):
            return []
        who, what = f"pod {pod} on {pod.node}", f"serve the {goal.name} leaf on port {port}"
        return [Awaited(who, what, "another one" if seen.leaf else seen.reason)]

    def _hot(self, pod: Pod, goal: Generation, other: Generation) -> list[Awaited]:
        contexts = self._observer.contexts(pod)
        foreign = _serials(other) - _serials(goal)
        who = f"pod {pod} on {pod.node}"
        behind = [
            one
            for one in contexts
            if _is(one.ca_serial, foreign) and not one.ca_path.startswith(MOUNTED)
        ]
        if behind:
            return [Awaited(who, f"load the {goal.name} CA", f"{len(behind)} contexts have not")]
        if not any(_is(one.ca_serial, _serials(goal)) for one in contexts):
            return [Awaited(who, f"load the {goal.name} CA", "no context shows it")]
        return []

    def _presents(self, pod: Pod, goal: Generation, other: Generation) -> list[Awaited]:
        contexts = self._observer.contexts(pod)
        wanted, foreign = goal.leaf(PROXY).serial, other.leaf(PROXY).serial
        who, what = f"pod {pod} on {pod.node}", f"load the {goal.name} leaf"
        behind = [
            one
            for one in contexts
            if same_serial(one.leaf_serial, foreign) and not one.leaf_path.startswith(MOUNTED)
        ]
        if behind:
            return [Awaited(who, what, f"{len(behind)} contexts have not")]
        if not any(same_serial(one.leaf_serial, wanted) for one in contexts):
            return [Awaited(who, what, "no context shows it")]
        return []


def is_same_trust(goal: Generation, other: Generation) -> bool:
    """Return whether the leaves of one generation verify under the CAs of the other alone."""
    return all(
        chain_to(goal.leaf(name), other.authorities) for name in (GATEWAY, PROXY, RATE_LIMIT)
    )


def _patient(ask: Any) -> Any:
    """Make a pod that does not answer something to wait for."""

    def asked(pod: Pod) -> list[Awaited]:
        try:
            found: list[Awaited] = ask(pod)
        except CutError:
            raise
        except EgopsError as exc:
            return [Awaited(f"pod {pod} on {pod.node}", "answer", exc.message)]
        return found

    return asked


def _is_closed(reason: str) -> bool:
    return any(words in reason for words in CLOSED)


def _serials(generation: Generation) -> frozenset[str]:
    return frozenset(ca.serial for ca in generation.authorities)


def _is(serial: str, of: Iterable[str]) -> bool:
    return bool(serial) and any(same_serial(serial, each) for each in of)


def _wanted(live: Object) -> int:
    if live.get("kind") == "DaemonSet" or "desiredNumberScheduled" in (live.get("status") or {}):
        return int((live.get("status") or {}).get("desiredNumberScheduled") or 0)
    replicas = (live.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)
