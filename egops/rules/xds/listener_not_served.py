"""EGD-445 listener-not-served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, OURS, SERVICE
from egops.listeners import our_listeners
from egops.proxies import (
    container_port,
    counted,
    fleet_refs,
    fleets,
    location_of,
    require,
    short_name,
    unanswered,
    verb,
)
from egops.refusals import LISTENER, refusals
from egops.rules import rule
from egops.snapshot import Probe, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.listeners import Listener
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Snapshot


@rule(
    code="EGD-445",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*OURS, SERVICE),
    probes=(Probe.CONFIG_DUMP,),
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.PROXY_LOG),
    since="0.1",
    ok="every Programmed listener with routes is open on every Ready proxy",
)
def listener_not_served(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A listener is Programmed, but a Ready proxy does not listen on its port.

    ## Why it matters
    Programmed and Ready say nothing about ports: a proxy that came up while its configuration is
    rejected, or before it was sent, is Ready and refuses connections on that port. Behind a load
    balancer a part of all connections fails.

    ## How to fix it
    If the proxy rejects the listener (EGD-441), correct what it names. If Envoy Gateway does not
    publish (EGD-142) or the proxy is not connected (EGD-440), repair that. A single odd proxy may
    be deleted once the others show that the configuration is accepted.
    """
    require(snapshot, GATEWAY)
    for fleet in fleets(snapshot.proxies):
        proxies = [proxy for proxy in fleet.ready if proxy.has(Probe.CONFIG_DUMP)]
        gateways = {gateway.ref for gateway in fleet.gateways(snapshot)}
        for listeners in our_listeners(snapshot).values():
            for listener in listeners:
                if listener.gateway.ref in gateways and _should_be_open(listener, snapshot):
                    yield from _closed(listener, fleet, proxies, snapshot)
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)


def _should_be_open(listener: Listener, snapshot: Snapshot) -> bool:
    """Return whether Envoy must listen: without routes some protocols open no port."""
    programmed = listener.condition("Programmed")
    return bool(
        programmed
        and programmed.is_true
        and programmed.has_settled(listener.owner, snapshot)
        and number(listener.status, "attachedRoutes") > 0
        and listener.port
    )


def _closed(
    listener: Listener, fleet: Fleet, proxies: list[Proxy], snapshot: Snapshot
) -> Iterator[Problem]:
    port = container_port(listener, fleet.key, snapshot.all(SERVICE))
    closed = [proxy for proxy in proxies if port not in open_ports(proxy, listener.protocol)]
    if not closed:
        return
    who = counted(closed, proxies)
    reasons = [
        refusal.reason
        for proxy in closed
        for refusal in refusals(proxy)
        if refusal.kind == LISTENER and refusal.port in (port, 0) and refusal.reason
    ]
    yield Problem(
        listener.at(),
        f"{who} {verb(who, 'do', 'does')} not listen on port {listener.port}",
        impact="connections to these proxies are refused although their pods are Ready",
        evidence=tuple(
            f"{short_name(proxy)}: container port {port} not among "
            f"{sorted(open_ports(proxy, listener.protocol)) or 'none'}"
            for proxy in closed
        ),
        why=f'Envoy rejects the listener: "{reasons[0]}"' if reasons else "",
        do_now=("do not restart, roll or scale the proxies that still listen",)
        if len(closed) < len(proxies)
        else (),
        remedy=(
            "correct what the proxy rejects (EGD-441)"
            if reasons
            else "see why the listener does not arrive: EGD-142 (not published), EGD-440 "
            "(not connected), EGD-442 (warming)",
        ),
        related=tuple(location_of(proxy) for proxy in closed),
        explains=("EGD-446", "EGD-444"),
        explains_refs=fleet_refs(fleet, snapshot),
    )


def open_ports(proxy: Proxy, protocol: str) -> set[int]:
    """Return the container ports that an Envoy listens on, for TCP or UDP."""
    udp = protocol == "UDP"
    return {
        entry.active.listener.port
        for entry in proxy.config.listeners
        if entry.active is not None
        and not entry.static
        and (entry.active.listener.address.socket_address.protocol == "UDP") == udp
    }
