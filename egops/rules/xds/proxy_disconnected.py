"""EGD-440 proxy-disconnected."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import CannotJudge, Problem, Severity, Unjudged
from egops.gatewayapi import OURS, POD, is_young, timestamp
from egops.proxies import (
    ago,
    counted,
    fleets,
    location_of,
    rises,
    short_name,
    verb,
)
from egops.refusals import moment
from egops.rules import rule
from egops.snapshot import Probe, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Resource, Snapshot
    from egops.xds.admin import Stats

CLOSED = re.compile(
    r"\[(?P<at>\d{4}-\d\d-\d\d[ T][\d:.]+)Z?\].*gRPC config stream to xds_cluster closed"
    r"(?: since (?P<seconds>\d+)s ago)?: (?P<reason>.*)"
)
CONNECTED = "control_plane.connected_state"
XDS = "cluster.xds_cluster"
TLS_COUNTERS = ("ssl.connection_error", "ssl.fail_verify_error", "ssl.fail_verify_san")
FAILING = r"(listener_manager\.lds|cluster_manager\.cds)\.update_failure"
FRESH = timedelta(seconds=90)  # attempts are at most 30 s apart, and each may take some seconds
BELIEVED = timedelta(seconds=60)
WINDOW = 15.0  # seconds between two reads that are enough without another witness


@rule(
    code="EGD-440",
    severity=Severity.ERROR,
    optional=(*OURS, POD),
    probes=(Probe.STATS,),
    optional_probes=(Probe.STATS_AGAIN, Probe.PROXY_LOG),
    since="0.1",
    ok="every proxy is connected to Envoy Gateway",
)
def proxy_disconnected(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy has no connection to the control plane.

    ## Why it matters
    It serves the configuration it has; changes, new endpoints and new certificates do not arrive,
    so it sends traffic to pods that are gone. A proxy that starts now gets no configuration at
    all and does not become Ready.

    ## How to fix it
    The reason tells where: `no healthy upstream` means that the name of the Service `envoy-gateway`
    does not resolve, a refused or timed out connection that no Envoy Gateway is Ready or a
    NetworkPolicy forbids port 18000, a TLS error that the certificates of both sides do not fit
    (EGD-408, EGD-409).
    """
    asked = [proxy for proxy in snapshot.proxies if proxy.has(Probe.STATS)]
    if asked and not any(_tells(proxy) for proxy in asked):
        raise CannotJudge("no proxy counts a connection to a control plane")
    for fleet in fleets(snapshot.proxies):
        lost = [found for proxy in fleet.proxies if (found := _lost(proxy, snapshot))]
        for settled in (True, False):
            group = [each for each in lost if each.settled is settled]
            if group:
                yield _problem(fleet, group, snapshot)
    unsure = [
        proxy
        for proxy in snapshot.proxies
        if proxy.has(Probe.STATS)
        and not proxy.has(Probe.STATS_AGAIN)
        and _is_down(proxy.stats)
        and _from_log(proxy) is None
    ]
    if unsure:
        yield Unjudged(f"{short_name(unsure[0])} was not connected, but was asked only once")
    silent = [proxy for proxy in snapshot.proxies if not proxy.has(Probe.STATS)]
    if silent:
        reason = silent[0].failures.get(Probe.STATS) or "stats not read"
        yield Unjudged(f"{short_name(silent[0])}: {reason}")


EXPLAINED = (
    "EGD-309", "EGD-406", "EGD-442", "EGD-443", "EGD-444", "EGD-446", "EGD-448", "EGD-453",
)  # fmt: skip


class Lost(NamedTuple):
    """A proxy without a control plane."""

    proxy: Proxy
    since: datetime | None
    reason: str
    settled: bool


def _tells(proxy: Proxy) -> bool:
    return proxy.stats.get(CONNECTED) is not None


def _is_down(stats: Stats) -> bool:
    return stats.get(CONNECTED) == 0


def _lost(proxy: Proxy, snapshot: Snapshot) -> Lost | None:
    """Return how the connection is lost; a gauge that is 1 during each attempt is not trusted."""
    if not proxy.has(Probe.STATS):
        return None
    reads = [proxy.stats, *([proxy.stats_again] if proxy.has(Probe.STATS_AGAIN) else [])]
    down = [_is_down(stats) for stats in reads]
    closed = _from_log(proxy)
    if closed is not None and snapshot.taken_at - closed.seen <= FRESH:
        if any(down) or _keeps_failing(proxy):
            long = snapshot.taken_at - closed.since >= BELIEVED
            return Lost(proxy, closed.since, closed.reason, long or snapshot.strict)
        return None
    if len(reads) < 2 or not all(down):
        return None
    long = snapshot.window_seconds >= WINDOW or not _is_settling(proxy, snapshot)
    reason, since = (closed.reason, closed.since) if closed else ("", None)
    return Lost(proxy, since, reason, long or snapshot.strict)


def _keeps_failing(proxy: Proxy) -> bool:
    return any(True for _ in rises(proxy, FAILING))


class Closed(NamedTuple):
    """The last line about the closed stream: when it was written, since when, and why."""

    seen: datetime
    since: datetime
    reason: str


def _from_log(proxy: Proxy) -> Closed | None:
    """Return what the last line about the stream tells; Envoy writes one with each attempt."""
    if not proxy.has(Probe.PROXY_LOG):
        return None
    lines = [line for line in proxy.log.splitlines() if "config stream to xds_cluster" in line]
    found = CLOSED.search(lines[-1]) if lines else None
    seen = moment(found["at"]) if found else None
    if found is None or seen is None:
        return None
    return Closed(
        seen, seen - timedelta(seconds=int(found["seconds"] or 0)), found["reason"].strip()
    )


def _is_settling(proxy: Proxy, snapshot: Snapshot) -> bool:
    """Return whether this side or the other one started just now."""
    if proxy.pod is not None and is_young(proxy.pod, snapshot):
        return True
    pods = [
        pod for pod in snapshot.all(POD) if text(pod.labels, "control-plane") == "envoy-gateway"
    ]
    return bool(pods) and all(_started_now(pod, snapshot) for pod in pods)


def _started_now(pod: Resource, snapshot: Snapshot) -> bool:
    started = timestamp(pod.status.get("startTime"))
    if started is None:
        return is_young(pod, snapshot)
    return snapshot.taken_at - started <= timedelta(seconds=120)


def _problem(fleet: Fleet, lost: list[Lost], snapshot: Snapshot) -> Problem:
    who = counted([each.proxy for each in lost], fleet.proxies)
    since = min((each.since for each in lost if each.since), default=None)
    why, remedy = _cause(lost[0])
    return Problem(
        fleet.location(snapshot),
        f"{who} {verb(who, 'have', 'has')} no connection to Envoy Gateway"
        + (f", {ago(since, snapshot)}" if since else ""),
        impact="changes, endpoints and certificates do not reach it; a proxy that starts now stays "
        "without configuration",
        evidence=tuple(_evidence(each) for each in lost),
        why=why,
        do_now=("do not restart, roll or scale these proxies",),
        remedy=remedy,
        related=tuple(location_of(each.proxy) for each in lost),
        explains=(
            "EGD-406",
            "EGD-309",
            "EGD-442",
            "EGD-443",
            "EGD-444",
            "EGD-446",
            "EGD-448",
            "EGD-453",
        ),
        settled=lost[0].settled,
    )


def _evidence(lost: Lost) -> str:
    stats = lost.proxy.stats
    parts = ["control_plane.connected_state 0"]
    parts += [
        f"xds_cluster.{name} {value:g}"
        for name in ("membership_healthy", "upstream_cx_connect_fail", *TLS_COUNTERS)
        if (value := stats.get(f"cluster.xds_cluster.{name}"))
    ]
    if lost.reason:
        parts.append(f'log: "{lost.reason}"')
    return f"{short_name(lost.proxy)}: {', '.join(parts)}"


def _cause(lost: Lost) -> tuple[str, tuple[str, ...]]:
    stats, said = lost.proxy.stats, lost.reason.lower()
    tls = any(True for name in TLS_COUNTERS for _ in rises(lost.proxy, re.escape(f"{XDS}.{name}")))
    if tls or "tls" in said or "certificate" in said or lost.reason.startswith("16"):
        return "TLS with Envoy Gateway fails", (
            "compare the Secrets envoy and envoy-gateway: EGD-407, EGD-408, EGD-409",
        )
    if stats.get("cluster.xds_cluster.membership_total") == 0 or "no healthy upstream" in said:
        return "the name of the control plane's Service does not resolve", (
            "check that Service envoy-gateway exists and that pods resolve names (cluster domain, "
            "dnsPolicy with hostNetwork)",
        )
    why = f'Envoy says "{lost.reason}"' if lost.reason else "nothing answers on port 18000"
    return why, (
        "check that an Envoy Gateway pod is Ready (EGD-100, EGD-150)",
        "check NetworkPolicies between the proxies and port 18000 of Envoy Gateway (EGD-455)",
    )
