"""The proxy fleet of each Gateway: its Deployment or DaemonSet, Service, pods and their state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egops.gatewayapi import (
    DAEMON_SET,
    DEPLOYMENT,
    ENVOY_PROXY,
    GATEWAY_CLASS,
    POD,
    SERVICE,
    condition,
    fleet_key,
    is_proxy,
    is_ready,
    per_snapshot,
)
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot


@dataclass
class Fleet:
    """What carries the labels of one Gateway, or of one class of merged Gateways."""

    key: str
    workloads: list[Resource] = field(default_factory=list)
    services: list[Resource] = field(default_factory=list)
    pods: list[Resource] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        """Return how many proxies there should be."""
        return sum(_wanted(workload) for workload in self.workloads)

    @property
    def available(self) -> int:
        """Return how many proxies are available."""
        return sum(
            number(w.status, "availableReplicas") + number(w.status, "numberAvailable")
            for w in self.workloads
        )

    def __str__(self) -> str:
        """Return `1/2 proxies available`."""
        return f"{self.available}/{self.wanted} proxies available"


def _wanted(workload: Resource) -> int:
    if workload.kind == DAEMON_SET:
        return number(workload.status, "desiredNumberScheduled")
    return number(workload.spec, "replicas", default=1)


@per_snapshot
def fleets(snapshot: Snapshot) -> dict[str, Fleet]:
    """Return the fleets by key: `namespace/gateway`, or the class of merged Gateways."""
    found: dict[str, Fleet] = {}
    for kind, name in (
        (DEPLOYMENT, "workloads"), (DAEMON_SET, "workloads"), (SERVICE, "services"), (POD, "pods"),
    ):  # fmt: skip
        for resource in snapshot.all(kind):
            if is_proxy(resource) and (key := fleet_key(resource)):
                getattr(found.setdefault(key, Fleet(key)), name).append(resource)
    return found


def fleet_of(gateway: Resource, snapshot: Snapshot) -> Fleet:
    """Return the fleet of a Gateway: its own, or its class's if Gateways are merged."""
    found = fleets(snapshot)
    own = f"{gateway.namespace}/{gateway.name}"
    shared = text(gateway.spec, "gatewayClassName")
    return found.get(own) or found.get(shared) or Fleet(own)


def envoy_proxies_of(gateway: Resource, snapshot: Snapshot) -> list[Resource]:
    """Return the EnvoyProxies that shape a Gateway: its own first, then its class's."""
    refs: list[tuple[str, Mapping[str, Any]]] = [
        (gateway.namespace, section(gateway.spec, "infrastructure", "parametersRef"))
    ]
    found_class = snapshot.find(GATEWAY_CLASS, "", text(gateway.spec, "gatewayClassName"))
    if found_class is not None:
        ref = section(found_class.spec, "parametersRef")
        refs.append((text(ref, "namespace"), ref))
    found = (snapshot.find(ENVOY_PROXY, namespace, text(ref, "name")) for namespace, ref in refs)
    return [proxy for proxy in found if proxy is not None]


def pod_trouble(pod: Resource) -> str:
    """Return why a pod is not Ready, in the kubelet's or the scheduler's words; else nothing."""
    if is_ready(pod):
        return ""
    for field_name in ("initContainerStatuses", "containerStatuses"):
        for _, container in items(pod.status, field_name):
            for state in ("waiting", "terminated"):
                reason = text(container, "state", state, "reason")
                if reason and reason != "Completed":
                    message = text(container, "state", state, "message")
                    told = f"container {text(container, 'name')} is {state}: {reason}"
                    return f"{told} ({message})" if message else told
    for kind in ("PodScheduled", "Ready"):
        found = condition(pod.status, kind)
        if found and not found.is_true:
            return f"{kind}={found.status} {found.reason}: {found.message}".rstrip(": ")
    return f"phase {text(pod.status, 'phase') or 'unknown'}"


def fleet_evidence(fleet: Fleet) -> list[str]:
    """Return the state of a fleet: counts, and what the first failing pods say."""
    told = [f"{workload.ref}: {fleet}" for workload in fleet.workloads] or ["no fleet exists"]
    for pod in fleet.pods:
        if (trouble := pod_trouble(pod)) and len(told) < 5:
            told.append(f"{pod.ref}: {trouble}")
    return told


@per_snapshot
def has_external_dns(snapshot: Snapshot) -> bool:
    """Return whether external-dns runs here: it deletes the records of Gateways without address."""
    return any(
        "external-dns" in (deployment.name, text(deployment.labels, "app.kubernetes.io/name"))
        for deployment in snapshot.all(DEPLOYMENT)
    )
