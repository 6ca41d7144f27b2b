"""EGD-434 control-plane-peer-rejected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import OURS
from egops.handshakes import REFUSED
from egops.pki import OWN_LINKS
from egops.proxies import (
    control_plane_location,
    fleet_refs,
    fleets,
    location_of,
    rises,
    short_name,
    without_window,
)
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.proxies import Fleet, Rise
    from egops.snapshot import ControlPlane, Snapshot

COUNTER = re.compile(
    rf"cluster\.(?P<cluster>{'|'.join(OWN_LINKS)})\.ssl\.(?P<what>fail_verify_error|fail_verify_san)"
)
LOST = {
    "xds_cluster": "they get no configuration",
    "ratelimit_cluster": "rate limits are not enforced",
    "wasm_cluster": "Wasm modules can't be loaded",
}
SERVES = {18000: "proxies", 18001: "the rate limit service", 18002: "proxies that load Wasm"}


@rule(
    code="EGD-434",
    severity=Severity.ERROR,
    optional=OURS,
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.TLS),
    since="0.1",
    ok="proxies, Envoy Gateway and the rate limit service accept each other's certificates",
)
def control_plane_peer_rejected(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """One part of the control plane refuses the certificate of another.

    ## Why it matters
    Connections that are open stay open, so it spreads slowly: with each reconnect one more proxy
    is without configuration, limits or Wasm modules.

    ## How to fix it
    EGD-408 tells whose CA does not fit, EGD-410, EGD-425 and EGD-426 who holds an old one.
    """
    for pod in snapshot.control_planes:
        yield from _refusing(pod)
        if reason := _unasked(pod):
            yield Unjudged(f"{pod.name}: {reason}")
    for fleet in fleets(snapshot.proxies):
        groups: dict[str, list[Rise]] = {}
        for proxy in fleet.proxies:
            for rise in rises(proxy, COUNTER.pattern):
                found = COUNTER.fullmatch(rise.name)
                if found:
                    groups.setdefault(found["cluster"], []).append(rise)
        for cluster, seen in sorted(groups.items()):
            yield _problem(fleet, cluster, seen, snapshot)
    if snapshot.proxies:
        yield from without_window(snapshot)


def _unasked(pod: ControlPlane) -> str:
    """Return why nothing is known of whom a pod accepts, or an empty string."""
    if reason := pod.failures.get(Probe.TLS):
        return reason
    met = [handshake for handshake in pod.handshakes if handshake.is_up]
    if met and not any(handshake.has_shown_certificate for handshake in met):
        return "it was asked without the proxies' certificate: Secret envoy was not read"
    return ""


def _refusing(pod: ControlPlane) -> Iterator[Problem]:
    """Yield the ports that refuse the pair in Secret `envoy`."""
    refused = [
        handshake
        for handshake in pod.handshakes
        if handshake.outcome == REFUSED and handshake.has_shown_certificate
    ]
    if refused:
        ports = ", ".join(f"{one.port} ({SERVES.get(one.port, 'TLS')})" for one in refused)
        yield Problem(
            control_plane_location(pod),
            f"refuses the certificate of Secret envoy on port {ports}",
            impact="proxies that connect now get no configuration",
            evidence=tuple(
                f"port {one.port}: {one.reason}; it accepts {', '.join(one.authorities) or 'none'}"
                for one in refused
            ),
            do_now=("do not restart, roll or scale the proxies",),
            remedy=(
                "put the CA of Secret envoy's certificate into ca.crt of Secret envoy-gateway",
            ),
            explains=("EGD-440",),
        )


def _problem(fleet: Fleet, cluster: str, seen: list[Rise], snapshot: Snapshot) -> Problem:
    san = any(rise.name.endswith("fail_verify_san") for rise in seen)
    return Problem(
        fleet.location(snapshot),
        f"its proxies refuse the certificate of {cluster}"
        + (": it is issued for another name" if san else ""),
        impact=LOST[cluster],
        evidence=tuple(f"{short_name(rise.proxy)}: {rise}" for rise in seen),
        do_now=("do not restart, roll or scale the proxies",) if cluster == "xds_cluster" else (),
        remedy=(
            "see EGD-408, EGD-409 and EGD-426: whose CA does not fit, and who holds an old one",
        ),
        related=tuple(location_of(rise.proxy) for rise in seen),
        explains=("EGD-440",) if cluster == "xds_cluster" else (),
        explains_refs=fleet_refs(fleet, snapshot) if cluster == "xds_cluster" else (),
    )
