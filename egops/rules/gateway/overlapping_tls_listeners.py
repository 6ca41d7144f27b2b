"""EGD-215 overlapping-tls-listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, GATEWAY, OURS, SERVICE
from egops.listeners import Listener, covers, every_listener, our_listeners
from egops.policies import policies_on
from egops.proxies import container_port, short_name
from egops.rules import rule
from egops.snapshot import Probe, entries
from egops.xds.topology import chains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-215",
    severity=Severity.WARNING,
    reads=(GATEWAY,),
    optional=(*OURS, CLIENT_TRAFFIC_POLICY, SERVICE),
    optional_probes=(Probe.CONFIG_DUMP,),
    versions=((1, 4), None),
    since="0.1",
    ok="no two HTTPS listeners overlap in host name or certificate",
)
def overlapping_tls_listeners(snapshot: Snapshot) -> Iterator[Problem]:
    """Two HTTPS listeners of one port overlap in host name or certificate.

    ## Why it matters
    Browsers re-use an HTTP/2 connection for every name of its certificate, so requests for one
    listener arrive at the other and get a 404. Envoy Gateway therefore turns HTTP/2 off on such
    listeners: they speak HTTP/1.1 only, and gRPC does not work. A ClientTrafficPolicy that forces
    `h2` brings the 404s back.

    ## How to fix it
    Use one listener with a wildcard hostname, or certificates whose names do not overlap.
    """
    for listener in every_listener(snapshot):
        found = listener.condition("OverlappingTLSConfig")
        if found is None or not found.is_true:
            continue
        forced = _forcing_h2(listener, snapshot)
        partners = _partners(listener, snapshot)
        effect = (
            f"{forced.ref} forces h2: expect 404s on re-used connections"
            if forced
            else "it speaks HTTP/1.1 only"
        )
        yield Problem(
            listener.at(),
            f"listener {listener} overlaps with {_names(partners)}: {effect}",
            evidence=(
                conditions.told(found),
                *(f"listener {other}" for other in partners),
                *_effective_alpn(listener, snapshot),
            ),
            why=found.message,
            remedy=(
                "replace the listeners by one with a wildcard hostname, or give each its own "
                "certificate whose names do not overlap",
                *([f"take h2 out of {forced.ref} until then"] if forced else []),
            ),
            severity=conditions.severity(found, listener.owner, Severity.WARNING),
            settled=found.has_settled(listener.owner, snapshot),
            related=tuple(other.at() for other in partners),
        )


def _partners(listener: Listener, snapshot: Snapshot) -> list[Listener]:
    """Return the TLS listeners of the same port that overlap by name, or share a certificate."""
    others = (
        other
        for owner in our_listeners(snapshot).values()
        for other in owner
        if other.gateway is listener.gateway and other.port == listener.port
    )
    return [
        other
        for other in others
        if (other.owner.ref, other.name) != (listener.owner.ref, listener.name)
        and other.is_terminating
        and (_meets(listener.hostname, other.hostname) or _certificates(listener, other))
    ]


def _meets(one: str, other: str) -> bool:
    return not one or not other or covers(one, other) or covers(other, one)


def _certificates(one: Listener, other: Listener) -> bool:
    return any(
        ref in entries(other.spec, "tls", "certificateRefs")
        for ref in entries(one.spec, "tls", "certificateRefs")
    )


def _names(partners: list[Listener]) -> str:
    return " and ".join(f"listener {other.name}" for other in partners) or "another one"


def _effective_alpn(listener: Listener, snapshot: Snapshot) -> Iterator[str]:
    """Yield what each proxy offers on the listener's host: `envoy-1 offers http/1.1`."""
    for proxy in snapshot.proxies:
        if not proxy.has(Probe.CONFIG_DUMP):
            continue
        port = container_port(listener, proxy.fleet, snapshot.all(SERVICE))
        for entry in proxy.config.listeners:
            if entry.active is None or entry.active.listener.port != port:
                continue
            for chain in chains(entry.active.listener):
                wanted = {listener.hostname} if listener.hostname else set()
                if chain.tls and wanted == set(chain.server_names) - {"*"}:
                    offered = ", ".join(chain.alpn) or "nothing"
                    yield f"{short_name(proxy)} offers {offered} in ALPN"


def _forcing_h2(listener: Listener, snapshot: Snapshot) -> Resource | None:
    on = policies_on(snapshot, CLIENT_TRAFFIC_POLICY)
    for policy, name in (*on.get(listener.owner.ref, []), *on.get(listener.gateway.ref, [])):
        if name in ("", listener.name) and "h2" in entries(policy.spec, "tls", "alpnProtocols"):
            return policy
    return None
