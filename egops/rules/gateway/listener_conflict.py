"""EGD-210 listener-conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.attachment import routes_refused_by
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    our_gateways,
    timestamp,
)
from egops.listeners import Listener, listener_sets, our_listeners
from egops.rules import rule
from egops.snapshot import SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

# HTTPS and TLS share a port; UDP shares one with everything
FAMILIES = {"HTTPS": "HTTPS/TLS", "TLS": "HTTPS/TLS"}
WITH_HOSTNAMES = {"HTTP", "HTTPS", "TLS"}


@rule(
    code="EGD-210",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*OURS, HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="no two listeners of a Gateway want the same port and host",
)
def listener_conflict(snapshot: Snapshot) -> Iterator[Problem]:
    """Two listeners want the same port with different protocols, or the same port and hostname.

    ## Why it matters
    Envoy Gateway serves none of the conflicting listeners of a Gateway. Where ListenerSets are
    involved, the Gateway's own listener wins, then the older ListenerSet.

    ## How to fix it
    Change the port, the hostname or the protocol of one of the two, or remove it.
    """
    for gateway in our_gateways(snapshot):
        listeners = _with_sets(gateway, snapshot)
        for listener in listeners:
            partners, fault = _partners(listener, listeners)
            found = listener.condition("Conflicted")
            reported = found if found and found.is_true else None
            if reported is None and (found or not partners or _is_served(listener, snapshot)):
                continue
            reason = reported.reason if reported else fault
            yield Problem(
                listener.at(),
                f"listener {listener} conflicts with {_names(partners)}: {reason}",
                evidence=(
                    *([conditions.told(reported)] if reported else []),
                    *(f"{other.owner.ref}: listener {other}" for other in partners),
                ),
                why=_winner(listener, partners),
                remedy=(_remedy(listener, partners, reason),),
                severity=conditions.severity(reported, listener.owner, Severity.ERROR)
                if reported
                else None,
                settled=reported is None or reported.has_settled(listener.owner, snapshot),
                related=tuple(other.at() for other in partners),
                explains=("EGD-204", "EGD-205", "EGD-211", "EGD-223", "EGD-240"),
                explains_refs=(
                    str(gateway.ref),
                    str(listener.owner.ref),
                    *routes_refused_by(listener, snapshot),
                ),
            )


def _with_sets(gateway: Resource, snapshot: Snapshot) -> list[Listener]:
    """Return the Gateway's listeners and those of its ListenerSets, winners first."""
    found = our_listeners(snapshot)
    sets = sorted(
        listener_sets(snapshot).get(gateway.ref, []),
        key=lambda entry: (
            str(timestamp(entry.metadata.get("creationTimestamp"))), entry.namespace, entry.name,
        ),
    )  # fmt: skip
    return [*found.get(gateway.ref, []), *(one for s in sets for one in found.get(s.ref, []))]


def _partners(listener: Listener, listeners: list[Listener]) -> tuple[list[Listener], str]:
    """Return the listeners it collides with, and the reason in the API's words."""
    if not listener.port or not listener.protocol:
        return [], ""
    others = [o for o in listeners if o is not listener and o.port == listener.port and o.protocol]
    family = FAMILIES.get(listener.protocol, listener.protocol)
    if family != "UDP":
        clashing = [
            other
            for other in others
            if other.protocol != "UDP" and FAMILIES.get(other.protocol, other.protocol) != family
        ]
        if clashing:
            return clashing, "ProtocolConflict"
    same = [o for o in others if FAMILIES.get(o.protocol, o.protocol) == family]
    if family in ("TCP", "UDP"):
        return same, "ProtocolConflict"
    return [other for other in same if other.hostname == listener.hostname], "HostnameConflict"


def _is_served(listener: Listener, snapshot: Snapshot) -> bool:
    """Return whether its status is there and does not complain: then nothing is recomputed."""
    return bool(listener.status) or snapshot.source.type is SourceType.CLUSTER


def _names(partners: list[Listener]) -> str:
    return " and ".join(f"listener {other}" for other in partners) or "another one"


def _winner(listener: Listener, partners: list[Listener]) -> str:
    owners = {other.owner.ref for other in (listener, *partners)}
    if len(owners) <= 1:
        return "within one Gateway or ListenerSet nobody wins: none of them is served"
    return "the Gateway's own listener wins over ListenerSets, an older ListenerSet over a newer"


def _remedy(listener: Listener, partners: list[Listener], reason: str) -> str:
    other = partners[0].name if partners else "the other one"
    if reason == "HostnameConflict":
        host = listener.hostname or "no hostname"
        return f"give listener {listener.name} or {other} another hostname (both have {host})"
    return f"move listener {listener.name} or {other} to another port (both use {listener.port})"
