"""What an Envoy refuses of the configuration it was sent, as far as it tells.

Three witnesses: `error_state` of a listener (now, with reason and time), counters
(`update_rejected`) and Envoy's log. A counter that stands still accuses only if nothing was ever
accepted, or if the log shows a refusal after the last success (`update_time`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egops.proxies import has_window, rises
from egops.snapshot import Probe, number, section
from egops.xds.config_dump import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy
    from egops.xds.admin import Stats

LISTENER, CLUSTER, ROUTES, SECRET, ENDPOINTS = (
    "listener", "cluster", "route configuration", "secret", "endpoints",
)  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """One resource that an Envoy refuses. `current` tells whether it does so now."""

    proxy: Proxy
    kind: str  # LISTENER, CLUSTER, ROUTES, SECRET, ENDPOINTS
    name: str  # empty if only the type is known
    reason: str = ""  # Envoy's own words
    since: datetime | None = None
    port: int = 0  # container port of a listener
    serving: bool = True  # an older version is in use
    current: bool = True
    is_over: bool = False  # proven: the log covers the last success and has no refusal after it
    count: int = 0  # the counter since the proxy started
    evidence: str = ""


def refusals(proxy: Proxy) -> list[Refusal]:
    """Return what this Envoy refuses, listeners first; old counters are not `current`."""
    found = list(_listeners(proxy)) if proxy.has(Probe.CONFIG_DUMP) else []
    if proxy.has(Probe.STATS):
        logged = log_refusals(proxy.log) if proxy.has(Probe.PROXY_LOG) else []
        named = any(refusal.kind == LISTENER for refusal in found)
        for refusal in _counted(proxy, logged):
            if refusal.kind != LISTENER or not proxy.has(Probe.CONFIG_DUMP):
                found.append(refusal)
            elif not named:  # no error_state: it was accepted since, or refused after the dump
                rising = any(True for _ in rises(proxy, re.escape(LDS_REJECTED)))
                found.append(replace(refusal, current=rising, is_over=not rising))
    return found


# ------------------------------------------------------------------ error states


def _listeners(proxy: Proxy) -> Iterator[Refusal]:
    """Yield refused listeners; the same one can be in the dump twice, once without a name."""
    seen = set()
    for entry in sorted(proxy.config.listeners, key=lambda entry: _when(entry) is None):
        if entry.error is None or entry.name in seen:
            continue
        seen.add(entry.name)
        failed = plain(entry.error.failed_configuration)
        yield Refusal(
            proxy,
            LISTENER,
            entry.name,
            entry.error.details.strip(),
            _when(entry),
            number(section(failed, "address", "socket_address"), "port_value"),
            serving=any(
                other.name == entry.name and other.active for other in proxy.config.listeners
            ),
            evidence=f"error_state of listener {entry.name or '(unnamed)'}",
        )


def _when(entry: object) -> datetime | None:
    error = getattr(entry, "error", None)
    return moment(error.last_update_attempt) if error is not None else None


def moment(value: str) -> datetime | None:
    """Return the moment that an RFC 3339 string of Envoy names, or None."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# ------------------------------------------------------------------ counters

LDS_REJECTED = "listener_manager.lds.update_rejected"
_COUNTERS = (
    (LISTENER, re.compile(r"(?P<base>listener_manager\.lds)\.update_rejected")),
    (CLUSTER, re.compile(r"(?P<base>cluster_manager\.cds)\.update_rejected")),
    (ROUTES, re.compile(r"(?P<base>http\.[^.]+\.rds\.(?P<name>.+))\.update_rejected")),
    (SECRET, re.compile(r"(?P<base>sds\.(?P<name>.+))\.update_rejected")),
    (ENDPOINTS, re.compile(r"(?P<base>cluster\.(?P<name>.+))\.update_rejected")),
)


def _counted(proxy: Proxy, logged: list[Logged]) -> Iterator[Refusal]:
    stats = proxy.stats_again if has_window(proxy) else proxy.stats
    rising = {rise.name: rise for rise in rises(proxy, r".+\.update_rejected")}
    for name, value in stats.matching(r".+\.update_rejected"):
        if value <= 0 or (known := _counter(name)) is None:
            continue
        kind, base, resource = known
        last = _last(logged, kind, resource)
        rise = rising.get(name)
        current = (
            rise is not None or _never_accepted(stats, base) or _refused_since(stats, base, last)
        )
        yield Refusal(
            proxy,
            kind,
            resource or (last.name if last else ""),
            last.reason if last else "",
            last.at if last else None,
            serving=not _never_accepted(stats, base),
            current=current,
            is_over=not current and _covers(proxy, stats.get(f"{base}.update_time")),
            count=int(value),
            evidence=str(rise) if rise else f"{name} {value:g} since the proxy started",
        )


def _counter(name: str) -> tuple[str, str, str] | None:
    for kind, pattern in _COUNTERS:
        if found := pattern.fullmatch(name):
            return kind, found["base"], found.groupdict().get("name") or ""
    return None


def _never_accepted(stats: Stats, base: str) -> bool:
    return stats.get(f"{base}.update_success") == 0


def _covers(proxy: Proxy, accepted: float | None) -> bool:
    """Return whether the log reaches back to the last success (milliseconds since the epoch)."""
    if not proxy.has(Probe.PROXY_LOG) or not accepted:
        return False
    first = _STAMP.search(proxy.log)
    begin = moment(first[1]) if first else None
    return begin is not None and begin.timestamp() * 1000 <= accepted


def _refused_since(stats: Stats, base: str, last: Logged | None) -> bool:
    """Return whether the log shows a refusal after the last success."""
    accepted = stats.get(f"{base}.update_time")
    if last is None or last.at is None or not accepted:
        return False
    return last.at.timestamp() * 1000 > accepted


# ------------------------------------------------------------------ the log


@dataclass(frozen=True)
class Logged:
    """A refusal that Envoy logged."""

    kind: str  # empty if the line does not tell
    name: str
    reason: str
    at: datetime | None


_STAMP = re.compile(
    r"(?:^\[|\"start_time\":\")(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*)", re.MULTILINE
)
_TYPES = {
    "listener.v3.Listener": LISTENER,
    "cluster.v3.Cluster": CLUSTER,
    "route.v3.RouteConfiguration": ROUTES,
    "tls.v3.Secret": SECRET,
    "endpoint.v3.ClusterLoadAssignment": ENDPOINTS,
}
_LINE = re.compile(
    r"\[(?P<at>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*)Z?\].*?"
    r"(?:(?:gRPC|delta)(?: state-of-the-world)? config for (?P<type>\S+) rejected"
    r"|Filesystem config update rejected): (?P<reason>.+)"
)
_NAMED = re.compile(
    r"Error adding/updating (?P<kind>listener|cluster)\(s\) (?P<name>[^:]+): (?P<reason>.+)"
)


def log_refusals(log: str) -> list[Logged]:
    """Return the refusals in Envoy's own log, oldest first."""
    found = []
    for line in log.splitlines():
        if "rejected: " not in line or (match := _LINE.search(line)) is None:
            continue
        reason, name = match["reason"].strip(), ""
        kind = kind_of_type(match["type"] or "")
        if named := _NAMED.match(reason):
            kind, name, reason = named["kind"], named["name"].strip(), named["reason"].strip()
        found.append(Logged(kind, name, reason, moment(match["at"])))
    return found


def kind_of_type(url: str) -> str:
    """Return the kind of a type URL, or an empty string."""
    return next((kind for suffix, kind in _TYPES.items() if url.endswith(suffix)), "")


def _last(logged: list[Logged], kind: str, name: str) -> Logged | None:
    """Return the last logged refusal of this kind (and name, where the line has one)."""
    fits = [each for each in logged if each.kind == kind and (not name or each.name in ("", name))]
    return fits[-1] if fits else None


# ------------------------------------------------------------------ Envoy Gateway's log

_CONTROL_PLANE = re.compile(
    r"Envoy rejected the last update(?: for type (?P<type>\S+) on node (?P<node>\S+))? "
    r"with code \d+"
    r"(?: and message (?P<told>.+?)(?:; the proxy is still serving|$)|: (?P<reason>.+))"
)


@dataclass(frozen=True)
class Nack:
    """A refusal that Envoy Gateway logged: of a proxy by its pod's name, where it says so."""

    kind: str
    node: str
    reason: str
    at: datetime | None


def nacks(log: str) -> list[Nack]:
    """Return the refusals in Envoy Gateway's log, oldest first (1.9 on; before only at debug)."""
    found = []
    for line in log.splitlines():
        if match := _CONTROL_PLANE.search(line):
            at = moment(line.partition("\t")[0].strip())
            reason = (match["told"] or match["reason"] or "").strip()
            found.append(Nack(kind_of_type(match["type"] or ""), match["node"] or "", reason, at))
    return found
