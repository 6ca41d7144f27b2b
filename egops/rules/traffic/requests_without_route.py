"""EGD-500 requests-without-route."""

from __future__ import annotations

import ipaddress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, GATEWAY_CLASS
from egops.proxies import location_of, short_name
from egops.rules import rule
from egops.snapshot import Location, Probe
from egops.traffic import failures, samples, told, unread_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Unjudged
    from egops.snapshot import Snapshot
    from egops.traffic import Group
    from egops.xds.config_dump import VirtualHost

LEAST, SHARE = 5, 0.01


@rule(
    code="EGD-500",
    severity=Severity.WARNING,
    optional=(GATEWAY, GATEWAY_CLASS),
    probes=(Probe.PROXY_LOG,),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="requests for known hosts find a route",
)
def requests_without_route(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Requests get 404 because no route matches them.

    ## Why it matters
    Envoy answers `404 NR route_not_found` when no virtual host has the host of the request, or none
    of its routes matches path, method and headers. Scanners that ask for addresses and unknown
    hosts are normal; a known host is not.

    ## How to fix it
    Add the host to the route and to the listener, or correct the match. A request whose TLS server
    name differs from its host came over a connection made for another host (HTTP/2 coalescing,
    EGD-215). If every host gets 404, the proxies lack their configuration: EGD-441, EGD-142.
    """
    groups = failures(snapshot, _fails, lambda entry: entry.authority.partition(":")[0].lower())
    for group in groups:
        if len(group.failing) >= LEAST and len(group.failing) >= SHARE * group.everything:
            yield _problem(group, snapshot)
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    return entry.code == 404 and entry.has_flag("NR")


def _problem(group: Group, snapshot: Snapshot) -> Problem:
    hosts = _hosts(group)
    known = _serving(hosts, group.key)
    domains = sorted({domain for host in hosts for domain in host.domains})
    why, remedy, noise = _cause(group, known, domains)
    at = group.fleet.location(snapshot)
    return Problem(
        Location(at.ref, at.path, at.origin, at.api_version, group.key or "no host"),
        f"{told(group)} for {group.key or 'no host'} match no route (404)",
        impact="" if noise else "users of this host get 404",
        evidence=samples(group) + tuple(f"on {short_name(proxy)}" for proxy in group.proxies),
        why=why,
        remedy=remedy,
        severity=Severity.INFO if noise else None,
        related=tuple(location_of(proxy) for proxy in group.proxies),
    )


def _hosts(group: Group) -> list[VirtualHost]:
    return [
        host
        for proxy in group.proxies
        if proxy.has(Probe.CONFIG_DUMP)
        for entry in proxy.config.route_configs
        if not entry.static
        for host in entry.route_config.virtual_hosts
    ]


def _serving(hosts: list[VirtualHost], authority: str) -> list[VirtualHost]:
    return [host for host in hosts if any(_matches(domain, authority) for domain in host.domains)]


def _matches(domain: str, host: str) -> bool:
    domain = domain.lower()
    if domain in ("*", host):
        return True
    return domain.startswith("*.") and host.endswith(domain[1:]) and host != domain[1:]


def _cause(
    group: Group, known: list[VirtualHost], domains: list[str]
) -> tuple[str, tuple[str, ...], bool]:
    """Return the reason, the steps, and whether it is noise from outside."""
    names = {entry.server_name.lower() for entry in group.failing if entry.server_name}
    if names and group.key not in names:
        why = f"the connection was made for {', '.join(sorted(names))} (HTTP/2 coalescing)"
        return why, ("see EGD-215: distinct certificates, or one listener for both hosts",), False
    if not domains:
        no_dump = not any(proxy.has(Probe.CONFIG_DUMP) for proxy in group.proxies)
        if no_dump:
            return "", ("compare the host with the hostnames of routes and listeners",), False
        return (
            "these proxies have no virtual host at all",
            ("see EGD-441, EGD-142, EGD-440",),
            False,
        )
    if not known:
        if _is_address(group.key):
            return "no host asks for an address: scanners and health checks do", (), True
        close = get_close_matches(group.key, domains, n=1)
        why = f"no virtual host has {group.key}" + (f"; the nearest is {close[0]}" if close else "")
        return (
            why,
            ("add the host to the route and the listener, or ignore foreign hosts",),
            not close,
        )
    routes = sum(len(host.routes) for host in known)
    paths = sorted({entry.path.partition("?")[0] for entry in group.failing})
    why = f"the host is known, but none of its {routes} routes matches {', '.join(paths[:3])}"
    explain = f"egops routes explain {group.sample.method} http://{group.key}{paths[0]}"
    return why, (f"see which match fails: {explain}",), False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return not host
    return True
