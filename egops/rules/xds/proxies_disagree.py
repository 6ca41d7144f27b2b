"""EGD-444 proxies-disagree."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, GATEWAY_CLASS, is_young
from egops.proxies import fleets, location_of, short_name, unanswered
from egops.refusals import moment, refusals
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from egops.finding import Unjudged
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Snapshot

SETTLE = timedelta(seconds=60)
SURE = timedelta(seconds=15)  # where a second witness says so
SHOWN = 4


@rule(
    code="EGD-444",
    severity=Severity.ERROR,
    optional=(GATEWAY, GATEWAY_CLASS),
    probes=(Probe.CONFIG_DUMP,),
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.PROXY_LOG),
    since="0.1",
    ok="the Ready proxies of each Gateway have the same configuration",
)
def proxies_disagree(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """The Ready proxies of one Gateway have different listeners, routes or clusters.

    ## Why it matters
    A request works or fails depending on which proxy gets it: errors that come and go, and that no
    status shows.

    ## How to fix it
    See what keeps the odd proxy back: it rejects the configuration (EGD-441), has lost its control
    plane (EGD-440), or is connected to another replica of Envoy Gateway that is behind (EGD-145).
    Delete the odd pod only if the others show that the configuration is accepted.
    """
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.ready if proxy.has(Probe.CONFIG_DUMP)]
        if fleet.key and len(proxies) > 1:
            yield from _odd(fleet, proxies, snapshot)
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)


class Shape(NamedTuple):
    """What a proxy has, by names: comparable between the proxies of a fleet."""

    listeners: frozenset[str]
    routes: frozenset[str]
    clusters: frozenset[str]

    @property
    def size(self) -> int:
        """Return how much it has."""
        return len(self.listeners) + len(self.routes) + len(self.clusters)


def _shape(proxy: Proxy) -> Shape:
    config = proxy.config
    listeners = frozenset(
        f"port {entry.active.listener.port}"
        f"{'/udp' if entry.active.listener.address.socket_address.protocol == 'UDP' else ''}"
        for entry in config.listeners
        if entry.active and not entry.static
    )
    routes = frozenset(
        f"{entry.route_config.name} {','.join(host.domains)} {route.name}"
        for entry in config.route_configs
        if not entry.static
        for host in entry.route_config.virtual_hosts
        for route in host.routes
    )
    clusters = frozenset(entry.cluster.name for entry in config.clusters if entry.state == "active")
    return Shape(listeners, routes, clusters)


def _odd(fleet: Fleet, proxies: list[Proxy], snapshot: Snapshot) -> Iterator[Problem]:
    shapes = {proxy.name: _shape(proxy) for proxy in proxies}
    common, _ = max(
        Counter(shapes.values()).items(),
        key=lambda item: (item[1], item[0].size, sorted(item[0][0])),
    )
    changed = max((when for p in proxies if (when := _changed(p))), default=None)
    young = any(proxy.pod is not None and is_young(proxy.pod, snapshot) for proxy in proxies)
    patience = SURE if any(_is_behind(proxy) for proxy in proxies) else SETTLE
    settled = changed is None or snapshot.taken_at - changed >= patience
    for proxy in proxies:
        if (shape := shapes[proxy.name]) == common:
            continue
        lacks = [_difference(one, other) for one, other in zip(common, shape, strict=True)]
        extra = [_difference(one, other) for one, other in zip(shape, common, strict=True)]
        same = sum(1 for other in shapes.values() if other == common)
        yield Problem(
            location_of(proxy),
            f"differs from {same} other {'proxies' if same != 1 else 'proxy'} of {fleet.key}: "
            + "; ".join(_told("lacks", lacks) + _told("has besides", extra)),
            impact="a request works or fails depending on which proxy gets it",
            evidence=tuple(f"lacks {each}" for part in lacks for each in part[:SHOWN])
            + tuple(f"has besides {each}" for part in extra for each in part[:SHOWN]),
            remedy=(
                "see what this proxy rejects (EGD-441), whether it is connected (EGD-440), and "
                "whether the Envoy Gateway replicas agree (EGD-145)",
                f"if the others are right and nothing is rejected: delete pod {short_name(proxy)}",
            ),
            related=tuple(location_of(other) for other in proxies if other is not proxy),
            settled=settled and not young,
        )


def _is_behind(proxy: Proxy) -> bool:
    """Return whether another witness tells that a proxy is cut off, or rejects what it gets."""
    reads = [proxy.stats] if proxy.has(Probe.STATS) else []
    reads += [proxy.stats_again] if proxy.has(Probe.STATS_AGAIN) else []
    lost = any(stats.get("control_plane.connected_state") == 0 for stats in reads)
    return lost or any(refusal.current for refusal in refusals(proxy))


def _changed(proxy: Proxy) -> datetime | None:
    """Return when the proxy's configuration last changed."""
    config = proxy.config
    found = [entry.active.last_updated for entry in config.listeners if entry.active]
    found += [entry.last_updated for entry in config.route_configs]
    found += [entry.last_updated for entry in config.clusters]
    return max((when for value in found if (when := moment(value))), default=None)


def _difference(one: frozenset[str], other: frozenset[str]) -> list[str]:
    return sorted(one - other)


def _told(what: str, parts: list[list[str]]) -> list[str]:
    words = ("listener", "route", "cluster")
    told = []
    for word, part in zip(words, parts, strict=True):
        if len(part) == 1:
            told.append(f"{word} {part[0].rpartition(' ')[2] if word == 'route' else part[0]}")
        elif part:
            told.append(f"{len(part)} {word}s")
    return [f"{what} {', '.join(told)}"] if told else []
