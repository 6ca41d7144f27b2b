"""What was asked of Envoy proxies and of the control plane: who answered, and what moved meanwhile.

Counters count since the process began, so alone they accuse nobody: `rises` compares two reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import CannotJudge, Unjudged
from egops.gatewayapi import EG, GATEWAY, GATEWAY_CLASS, fleet_key, is_proxy, is_ready
from egops.listeners import every_listener
from egops.snapshot import Kind, Location, Probe, Ref, SourceType, items, number, text
from egops.xds.names import ListenerName, PortName, parse_fleet, parse_listener

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from egops.listeners import Listener
    from egops.snapshot import ControlPlane, Proxy, Resource, Snapshot
    from egops.xds.admin import Sample

ENVOY = Kind("Envoy", "", "envoys", ("v1",))
"""An Envoy without a Pod: a URL or a saved dump."""
ENVOY_GATEWAY_POD = Kind("EnvoyGatewayPod", EG, "envoygatewaypods", ("v1alpha1",))


def location_of(proxy: Proxy, *path: str | int, section: str = "") -> Location:
    """Return where a finding about this Envoy points to: its Pod, or the Envoy itself."""
    if proxy.pod is not None:
        return proxy.pod.at(*path, section=section)
    return Location(Ref(ENVOY, "", proxy.name), path, section=section)


def control_plane_location(pod: ControlPlane) -> Location:
    """Return where a finding about this Envoy Gateway pod points to."""
    if pod.pod is not None:
        return pod.pod.at()
    return Location(Ref(ENVOY_GATEWAY_POD, "", pod.name))


def short_name(proxy: Proxy) -> str:
    """Return the pod's name, or the URL or file."""
    return proxy.pod.name if proxy.pod is not None else proxy.name


def is_saved(proxy: Proxy) -> bool:
    """Return whether it is a saved dump: nobody answers there, and nothing more is known."""
    return proxy.pod is None and "://" not in proxy.name


def unanswered(snapshot: Snapshot, *probes: Probe) -> Iterator[Unjudged]:
    """Yield one reported skip for the proxies that did not answer these probes, if there are any.

    Proxies that were never asked (a saved dump has no stats) count as well.
    """
    for probe in probes:
        silent = [proxy for proxy in snapshot.proxies if not proxy.has(probe)]
        if silent:
            reason = silent[0].failures.get(probe) or "not read"
            more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
            yield Unjudged(f"{probe.value} of {short_name(silent[0])}{more}: {reason}")


def require(snapshot: Snapshot, *kinds: Kind) -> None:
    """Raise CannotJudge if files and dumps hold no object of one of these kinds.

    The list of a cluster may be empty: then there is nothing to find.
    """
    if snapshot.source.type is SourceType.CLUSTER:
        return
    for kind in kinds:
        if not snapshot.all(kind):
            raise CannotJudge(f"no {kind.name} in the input")


# ------------------------------------------------------------------ fleets


class Fleet(NamedTuple):
    """The proxies that share one configuration."""

    key: str  # `namespace/gateway`, the class of merged Gateways, or empty
    proxies: tuple[Proxy, ...]

    @property
    def ready(self) -> tuple[Proxy, ...]:
        """Return the proxies whose pod is Ready; one without a pod counts."""
        return tuple(p for p in self.proxies if p.pod is None or is_ready(p.pod))

    def location(self, snapshot: Snapshot) -> Location:
        """Return the fleet's Gateway (or class) if it is in the snapshot, else its first proxy."""
        owner = self.owner(snapshot)
        return owner.at() if owner is not None else location_of(self.proxies[0])

    def owner(self, snapshot: Snapshot) -> Resource | None:
        """Return the Gateway of the fleet, or the GatewayClass of merged ones, if it is known."""
        found = parse_fleet(self.key) if self.key else None
        if found is None:
            return None
        kind = GATEWAY_CLASS if found.merged else GATEWAY
        return snapshot.find(kind, found.namespace, found.name)

    def gateways(self, snapshot: Snapshot) -> list[Resource]:
        """Return the Gateways whose listeners these proxies serve."""
        owner = self.owner(snapshot)
        if owner is None:
            return []
        if owner.kind == GATEWAY:
            return [owner]
        return [
            gateway
            for gateway in snapshot.all(GATEWAY)
            if text(gateway.spec, "gatewayClassName") == owner.name
        ]


def fleet_refs(fleet: Fleet, snapshot: Snapshot) -> tuple[str, ...]:
    """Return whose findings one about this fleet may explain: all if there is no other fleet."""
    if len(fleets(snapshot.proxies)) == 1:
        return ()
    refs = [str(gateway.ref) for gateway in fleet.gateways(snapshot)]
    return (*refs, *(str(location_of(proxy).ref) for proxy in fleet.proxies))


def fleets(proxies: Iterable[Proxy]) -> list[Fleet]:
    """Return the proxies by fleet; one whose fleet is unknown stands alone."""
    groups: dict[str, list[Proxy]] = {}
    for proxy in proxies:
        groups.setdefault(proxy.fleet or f"?{proxy.name}", []).append(proxy)
    return [
        Fleet("" if key.startswith("?") else key, tuple(members))
        for key, members in sorted(groups.items())
    ]


def counted(proxies: Iterable[Proxy], of: Iterable[Proxy]) -> str:
    """Return `2 of 3 proxies`, or `the proxy` where there is one."""
    few, total = len(tuple(proxies)), len(tuple(of))
    return f"{few} of {total} proxies" if total != 1 else "the proxy"


def verb(subject: str, plural: str, singular: str = "") -> str:
    """Return the verb in the number of what `counted` said: `reject` or `rejects`."""
    return plural if subject.endswith("s") else singular or f"{plural}s"


# ------------------------------------------------------------------ counters


class Rise(NamedTuple):
    """A counter that grew while we watched."""

    proxy: Proxy
    name: str
    before: float
    after: float

    @property
    def growth(self) -> float:
        """Return by how much it grew."""
        return self.after - self.before

    def __str__(self) -> str:
        """Return `sds.demo/tls.update_rejected 0 -> 1`."""
        return f"{self.name} {self.before:g} -> {self.after:g}"


def rises(proxy: Proxy, pattern: str) -> Iterator[Rise]:
    """Yield the counters whose whole name matches and that grew between the two reads.

    A counter is made when first touched, so one that was absent began at 0. Nothing is yielded for
    an Envoy that was read once, or that restarted in between.
    """
    if not (proxy.has(Probe.STATS) and proxy.has(Probe.STATS_AGAIN)):
        return
    first, again = proxy.stats, proxy.stats_again
    if (again.get("server.uptime") or 0) < (first.get("server.uptime") or 0):
        return
    for name, after in again.matching(pattern):
        before = first.get(name) or 0.0
        if after > before:
            yield Rise(proxy, name, before, after)


def has_window(proxy: Proxy) -> bool:
    """Return whether the proxy's counters were read twice."""
    return proxy.has(Probe.STATS) and proxy.has(Probe.STATS_AGAIN)


def without_window(snapshot: Snapshot) -> Iterator[Unjudged]:
    """Yield one reported skip if some proxies' counters were not read twice."""
    blind = [proxy for proxy in snapshot.proxies if not has_window(proxy)]
    if blind:
        probe = Probe.STATS if not blind[0].has(Probe.STATS) else Probe.STATS_AGAIN
        reason = blind[0].failures.get(probe) or "counters were not read twice"
        more = f" and {len(blind) - 1} more" if len(blind) > 1 else ""
        yield Unjudged(f"counters of {short_name(blind[0])}{more} not judged: {reason}")


class SampleRise(NamedTuple):
    """A metric of Envoy Gateway that grew while we watched."""

    pod: ControlPlane
    sample: Sample
    growth: float

    def __str__(self) -> str:
        """Return `xds_nack_total{nodeID="x"} +2`."""
        labels = ",".join(f'{key}="{value}"' for key, value in sorted(self.sample.labels.items()))
        return f"{self.sample.name}{{{labels}}} +{self.growth:g}"


def sample_rises(pod: ControlPlane, name: str, **labels: str) -> Iterator[SampleRise]:
    """Yield the samples of a metric that grew; label values are patterns of the whole value."""
    if not (pod.has(Probe.METRICS) and pod.has(Probe.METRICS_AGAIN)):
        return
    before = {_key(sample): sample.value for sample in pod.metrics.of(name)}
    for sample in pod.metrics_again.of(name):
        fits = all(
            re.fullmatch(pattern, sample.labels.get(key, "")) for key, pattern in labels.items()
        )
        growth = sample.value - before.get(_key(sample), 0.0)
        if fits and growth > 0:
            yield SampleRise(pod, sample, growth)


def _key(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(sample.labels.items()))


# ------------------------------------------------------------------ ports


PRIVILEGED, SHIFT = 1024, 10000


def container_port(listener: Listener, fleet: str, services: Iterable[Resource]) -> int:
    """Return the port Envoy binds for a listener: as the fleet's Service says, else by the rule.

    Ports below 1024 are shifted by 10000, unless the EnvoyProxy says otherwise.
    """
    for service in services:
        if not is_proxy(service) or fleet_key(service) != fleet:
            continue
        for _, entry in items(service.spec, "ports"):
            target = entry.get("targetPort")
            if number(entry, "port") == listener.port and isinstance(target, int):
                return target
    return listener.port + SHIFT if listener.port < PRIVILEGED else listener.port


def gateway_listener(
    snapshot: Snapshot, fleet: Fleet, name: str, container_port: int = 0
) -> Listener | None:
    """Return the Gateway's listener behind an xDS listener, by its name or else by its port."""
    gateways = {gateway.ref for gateway in fleet.gateways(snapshot)}
    ports = {container_port, container_port - SHIFT} if container_port else set()
    wanted = parse_listener(name)
    for listener in every_listener(snapshot):
        owner = listener.owner
        if isinstance(wanted, ListenerName):
            whose = (wanted.namespace, wanted.gateway, wanted.section)
            if (listener.gateway.namespace, listener.gateway.name, listener.name) != whose:
                continue
            if (owner.kind != GATEWAY) == bool(wanted.set_name):
                return listener
        elif listener.gateway.ref in gateways:
            port = wanted.port if isinstance(wanted, PortName) else 0
            if listener.port == port or listener.port in ports:
                return listener
    return None


def ago(moment: datetime | None, snapshot: Snapshot) -> str:
    """Return `since 02:14 (31 min)`, or an empty string if the moment is unknown."""
    if moment is None:
        return ""
    return f"since {moment.strftime('%H:%M')} ({age(moment, snapshot)})"


def age(moment: datetime, snapshot: Snapshot) -> str:
    """Return how long ago a moment is, in one unit: `31 min`."""
    seconds = max(0, int((snapshot.taken_at - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (size == 60 and seconds >= 60):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
