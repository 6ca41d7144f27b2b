"""What the access logs of the proxies tell: failing requests by what they have in common."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.accesslog import Entry, parse, recent, share
from egops.finding import Confidence, Problem, Severity, Unjudged
from egops.gatewayapi import BY_GROUP_KIND, EG, GWAPI, HTTP_ROUTE_FILTER, backend_refs
from egops.proxies import fleets, location_of, short_name, unanswered
from egops.snapshot import Probe, Ref, SourceType, items, number, section, text
from egops.xds.config_dump import plain
from egops.xds.names import parse_route
from egops.xds.owners import Owner, cluster_name_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from egops.gatewayapi import ObjectRef
    from egops.proxies import Fleet
    from egops.snapshot import Location, Proxy, Resource, Snapshot
    from egops.xds.config_dump import Route

QUIET = timedelta(seconds=60)
LATEST = timedelta(seconds=120)  # what has not failed for so long is no matter of now
SHOWN = 3
GROUPS = (GWAPI, EG, "")  # of the objects that clusters are made for


class Group(NamedTuple):
    """Failing requests that have a key in common, and all requests with that key."""

    fleet: Fleet
    key: str
    failing: tuple[Entry, ...]
    proxies: tuple[Proxy, ...]  # those that answered them
    total: tuple[Entry, ...]
    everything: int  # requests of the fleet in the same time

    @property
    def share(self) -> str:
        """Return `12 of 300 requests (4 %)`."""
        return share(self.failing, self.total)

    @property
    def sample(self) -> Entry:
        """Return the last failing request."""
        return self.failing[-1]


def failures(
    snapshot: Snapshot, fails: Callable[[Entry], bool], key: Callable[[Entry], str]
) -> list[Group]:
    """Return the failing requests of the last minutes, by fleet and key.

    A key whose requests succeed again, and did so for a minute, is left out: it is over.
    """
    found = []
    for fleet in fleets(snapshot.proxies):
        seen: dict[str, list[tuple[Proxy, Entry]]] = {}
        everything = 0
        for proxy in fleet.proxies:
            if proxy.has(Probe.PROXY_LOG):
                for entry in recent(proxy.log, snapshot.taken_at).requests:
                    everything += 1
                    seen.setdefault(key(entry), []).append((proxy, entry))
        for name, pairs in sorted(seen.items()):
            failing = [(proxy, entry) for proxy, entry in pairs if fails(entry)]
            total = tuple(entry for _, entry in pairs)
            times = [entry for _, entry in failing]
            if failing and not _is_over(times, total, snapshot) and not _is_gone(name, snapshot):
                proxies = {proxy.name: proxy for proxy, _ in failing}
                entries = tuple(entry for _, entry in failing)
                found.append(
                    Group(fleet, name, entries, tuple(proxies.values()), total, everything)
                )
    return found


def _is_gone(name: str, snapshot: Snapshot) -> bool:
    """Return whether the route that answered was deleted since."""
    route = parse_route(name)
    if route is None or route_of(name, snapshot) is not None:
        return False
    kind = BY_GROUP_KIND.get((GWAPI, route.kind))
    return snapshot.source.type is SourceType.CLUSTER and kind is not None and snapshot.knows(kind)


def _is_over(failing: list[Entry], total: tuple[Entry, ...], snapshot: Snapshot) -> bool:
    last = max((entry.start for entry in failing if entry.start), default=None)
    if last is None or snapshot.taken_at - last < QUIET:
        return False
    if snapshot.taken_at - last > LATEST:
        return True
    return any(entry.start and entry.start > last and entry.code < 500 for entry in total)


def unread_logs(snapshot: Snapshot) -> Iterator[Unjudged]:
    """Yield reported skips for logs that were not read, or are not in a known format."""
    yield from unanswered(snapshot, Probe.PROXY_LOG)
    for proxy in snapshot.proxies:
        if proxy.has(Probe.PROXY_LOG):
            log = parse(proxy.log)
            if log.unknown and not log.entries:
                count = f"{log.unknown} lines"
                yield Unjudged(f"access log of {short_name(proxy)}: unknown format ({count})")
                return


def told(group: Group) -> str:
    """Return how many requests failed, in words."""
    return requests_told(len(group.failing))


def requests_told(count: int) -> str:
    """Return `1 request` or `4 requests`."""
    return f"{count} request{'s' if count != 1 else ''}"


def quoted(entry: Entry) -> str:
    """Return one request as evidence; the path without its query."""
    path = entry.path.partition("?")[0]
    parts = [f"{entry.method} {entry.authority}{path}".strip(), str(entry.code)]
    parts += [text for text in (entry.flags, entry.details) if text]
    return " ".join(parts)


def samples(group: Group) -> tuple[str, ...]:
    """Return the evidence of a group: the sample count, and some different requests."""
    requests = dict.fromkeys(quoted(entry) for entry in reversed(group.failing))
    window = f"{group.share} in the last 5 minutes of the access log"
    return (window, *list(requests)[:SHOWN])


# ------------------------------------------------------------------ whose it is


def by_route(entry: Entry) -> str:
    """Return the key of a request by its route, or by its cluster where it had none."""
    return entry.route or entry.cluster or entry.authority


def route_of(name: str, snapshot: Snapshot) -> tuple[Resource, int] | None:
    """Return the route object and the index of the rule behind an xDS route's or cluster's name."""
    route = parse_route(name)
    owner = cluster_name_owner(name) if route is None else None
    if isinstance(owner, Owner):
        found = _find(owner.kind, owner.namespace, owner.name, snapshot)
        return (found, owner.rule if owner.rule is not None else -1) if found else None
    if route is None:
        return None
    found = _find(route.kind, route.namespace, route.name, snapshot)
    return (found, route.rule) if found else None


def _find(kind: str, namespace: str, name: str, snapshot: Snapshot) -> Resource | None:
    known = next((k for g in GROUPS if (k := BY_GROUP_KIND.get((g, kind)))), None)
    return snapshot.get(Ref(known, namespace, name)) if known else None


def owner_location(name: str, proxy: Proxy, snapshot: Snapshot) -> Location:
    """Return the rule behind an xDS name if it is in the snapshot, else the proxy."""
    found = route_of(name, snapshot)
    if found is None:
        return location_of(proxy, section=name)
    resource, rule = found
    return (
        resource.at("spec", "rules", rule, section=f"rule {rule}") if rule >= 0 else resource.at()
    )


def backends_of(name: str, snapshot: Snapshot) -> list[ObjectRef]:
    """Return the backendRefs of the rule behind an xDS name."""
    found = route_of(name, snapshot)
    if found is None:
        return []
    resource, rule = found
    return [
        ref
        for ref in backend_refs(resource)
        if rule < 0 or ref.entry.path[:3] == ("spec", "rules", rule)
    ]


def answers_directly(name: str, snapshot: Snapshot) -> bool:
    """Return whether somebody wants a direct response here: an HTTPRouteFilter says so."""
    found = route_of(name, snapshot)
    if found is None:
        return False
    resource, rule = found
    for index, body in items(resource.spec, "rules"):
        if rule in (index, -1):
            for _, extension in items(body, "filters"):
                ref = section(extension, "extensionRef")
                filter_ = snapshot.find(HTTP_ROUTE_FILTER, resource.namespace, text(ref, "name"))
                if filter_ is not None and section(filter_.spec, "directResponse"):
                    return True
    return False


FEW = 3  # so few failures of a kind that comes with every rollout are information


def problem(  # noqa: PLR0913 - the parts of a Problem, each by name
    group: Group,
    snapshot: Snapshot,
    message: str,
    *,
    impact: str = "",
    evidence: tuple[str, ...] = (),
    why: str = "",
    remedy: tuple[str, ...] = (),
    severity: Severity | None = None,
    related: tuple[Location, ...] = (),
    explains: tuple[str, ...] = (),
    confidence: Confidence = Confidence.HIGH,
) -> Problem:
    """Return the problem of a group of requests: at its rule, with the sample as evidence."""
    return Problem(
        owner_location(group.key, group.proxies[0], snapshot),
        message,
        impact=impact,
        evidence=(*samples(group), *evidence),
        why=why,
        remedy=remedy,
        severity=severity,
        related=(*related, *(location_of(proxy) for proxy in group.proxies)),
        explains=explains,
        confidence=confidence,
    )


def hosts(group: Group) -> tuple[str, ...]:
    """Return the upstream hosts of the failing requests, with their counts."""
    counts = Counter(entry.upstream_host for entry in group.failing if entry.upstream_host)
    return tuple(f"{host}: {count}" for host, count in counts.most_common(5))


def rule_of(resource: Resource, rule: int) -> Mapping[str, Any]:
    """Return a rule of a route by its index, or an empty mapping."""
    return next((body for index, body in items(resource.spec, "rules") if index == rule), {})


def live_routes(proxy: Proxy, name: str) -> list[Route]:
    """Return the routes of this name that a proxy has now; none if its dump was not read."""
    if not proxy.has(Probe.CONFIG_DUMP):
        return []
    return [
        route
        for entry in proxy.config.route_configs
        for host in entry.route_config.virtual_hosts
        for route in host.routes
        if route.name == name
    ]


def still_answers(group: Group, code: int) -> bool:
    """Return whether the proxies' route is still a direct response of this code, or unknown."""
    if not any(proxy.has(Probe.CONFIG_DUMP) for proxy in group.proxies):
        return True
    return any(
        number(plain(route.direct_response), "status") == code
        for proxy in group.proxies
        for route in live_routes(proxy, group.key)
    )
