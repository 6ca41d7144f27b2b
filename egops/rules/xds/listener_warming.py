"""EGD-442 listener-warming."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import OURS
from egops.proxies import (
    age,
    counted,
    fleet_refs,
    fleets,
    gateway_listener,
    location_of,
    short_name,
    unanswered,
    verb,
)
from egops.refusals import moment
from egops.rules import rule
from egops.snapshot import Location, Probe
from egops.xds.config_dump import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Snapshot
    from egops.xds.config_dump import ConfigDump, ListenerVersion

SETTLE = timedelta(seconds=60)
_SDS = re.compile(rb'"(?:tls_certificate_sds_secret_configs|validation_context_sds_secret_config)"')


@rule(
    code="EGD-442",
    severity=Severity.ERROR,
    optional=OURS,
    probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="no listener waits for a certificate or a route table",
)
def listener_warming(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A listener waits for something that does not arrive, so its port is closed or broken.

    ## Why it matters
    Envoy opens a port once all that the listener refers to is there: certificates (SDS), the route
    table (RDS), Wasm modules. From Envoy Gateway 1.7 it waits for ever; before, it goes active
    after 15 seconds without the missing part: TLS handshakes are reset, or every request gets 404.

    ## How to fix it
    Supply what is missing: the evidence names the secret or the route table. If it exists, see
    whether Envoy rejects it (EGD-405, EGD-441) or Envoy Gateway does not publish it (EGD-142).
    """
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.proxies if proxy.has(Probe.CONFIG_DUMP)]
        names: dict[str, list[Proxy]] = {}
        for proxy in proxies:
            for name in _waiting(proxy):
                names.setdefault(name, []).append(proxy)
        for name, waiting in sorted(names.items()):
            yield _problem(fleet, name, waiting, proxies, snapshot)
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)


def _waiting(proxy: Proxy) -> list[str]:
    """Return listeners that never became active, and active ones without their certificate."""
    config = proxy.config
    return [
        entry.name
        for entry in config.listeners
        if (entry.warming and not entry.active)
        or (entry.active and not entry.static and _missing_secrets(config, entry.active))
    ]


def _version(config: ConfigDump, name: str) -> tuple[ListenerVersion | None, bool]:
    for entry in config.listeners:
        if entry.name == name and (entry.active or entry.warming):
            return entry.active or entry.warming, entry.active is not None
    return None, False


def _missing_secrets(config: ConfigDump, version: ListenerVersion) -> list[str]:
    """Return the secrets that the listener refers to and that never came."""
    missing = [
        secret.name
        for secret in config.secrets
        if secret.state == "warming" and secret.version_info in ("", "uninitialized")
    ]
    if not missing:
        return []
    used = b"".join(bytes(chain.transport_socket) for chain in version.listener.chains)
    if not _SDS.search(used):
        return []
    return [name for name in missing if f'"{name}"'.encode() in used]


def _missing_routes(config: ConfigDump, version: ListenerVersion) -> list[str]:
    """Return the route tables that the listener refers to and that never came."""
    known = {entry.route_config.name for entry in config.route_configs}
    wanted = []
    for chain in version.listener.chains:
        for network in chain.filters:
            body = plain(network.typed_config)
            rds = body.get("rds") if isinstance(body, dict) else None
            if isinstance(rds, dict) and isinstance(rds.get("route_config_name"), str):
                wanted.append(rds["route_config_name"])
    return [name for name in dict.fromkeys(wanted) if name not in known]


def _problem(
    fleet: Fleet, name: str, waiting: list[Proxy], proxies: list[Proxy], snapshot: Snapshot
) -> Problem:
    version, active = _version(waiting[0].config, name)
    assert version is not None
    port = version.listener.port
    listener = gateway_listener(snapshot, fleet, name, port)
    secrets = _missing_secrets(waiting[0].config, version)
    routes = _missing_routes(waiting[0].config, version)
    since = moment(version.last_updated)
    what = f"listener on port {listener.port}" if listener else f"listener {name} (port {port})"
    who = counted(waiting, proxies)
    if active:
        message = f"the {what} is open without its certificate on {who}"
        impact = "connections are accepted and TLS handshakes reset"
    else:
        message = f"{who} {verb(who, 'keep')} the {what} warming"
        impact = "the port refuses connections"
    if since:
        message += f", for {age(since, snapshot)}"
    missing = [f"secret {secret}" for secret in secrets] + [f"route table {r}" for r in routes]
    at = location_of(waiting[0], section=name)
    if listener is None and fleet.owner(snapshot):
        owner = fleet.location(snapshot)
        at = Location(owner.ref, owner.path, owner.origin, owner.api_version, name)
    return Problem(
        listener.at() if listener else at,
        message,
        impact=impact,
        evidence=tuple(f"{short_name(p)}: {'active' if active else 'warming'}" for p in waiting),
        why=f"it waits for {', '.join(missing)}" if missing else "",
        do_now=("do not restart, roll or scale the proxies that serve it",)
        if len(waiting) < len(proxies)
        else (),
        remedy=_remedy(secrets, routes),
        related=tuple(location_of(proxy) for proxy in waiting),
        explains=("EGD-445", "EGD-446", "EGD-444", "EGD-448"),
        explains_refs=fleet_refs(fleet, snapshot),
        settled=since is None or snapshot.taken_at - since >= SETTLE,
    )


def _remedy(secrets: list[str], routes: list[str]) -> tuple[str, ...]:
    steps = [f"create or repair Secret {name} (EGD-400, EGD-401)" for name in secrets]
    if routes:
        steps.append("see why the route table does not arrive: EGD-441, EGD-142")
    return (*steps, "see whether the proxy is connected and what it rejects: EGD-440, EGD-405")
