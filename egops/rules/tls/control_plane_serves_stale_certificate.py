"""EGD-410 control-plane-serves-stale-certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity, Unjudged
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET, installs
from egops.pki import changed_at, pair, secret_for, shown_leaf, started_at
from egops.proxies import age, control_plane_location
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Install
    from egops.snapshot import ControlPlane, Resource, Snapshot

PORTS = {
    18000: "xDS for proxies",
    18001: "xDS for the rate limit service",
    18002: "Wasm modules",
    9443: "the topology webhook",
}
DELIVERY = timedelta(minutes=3)  # until the kubelet has written it, and somebody has read it


@rule(
    code="EGD-410",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    probes=(Probe.TLS,),
    since="0.1",
    ok="every Envoy Gateway pod serves the certificate that its Secret holds",
)
def control_plane_serves_stale_certificate(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """An Envoy Gateway pod serves another certificate than Secret `envoy-gateway` holds.

    ## Why it matters
    Envoy Gateway reads the files for each new connection, so what it serves is what is mounted: a
    difference that lasts means a mount that does not follow (`subPath`, a copy) or a kubelet that
    lags. In GatewayNamespace mode the xDS server before 1.7.4 and 1.8.1 reads them only once. When
    the served certificate ends, or proxies drop its CA, no proxy connects.

    ## How to fix it
    Restart the Envoy Gateway pod; proxies keep their configuration meanwhile. Mount the Secret as a
    directory, not with `subPath`.
    """
    judged = False
    for pod in snapshot.control_planes:
        namespace = pod.pod.namespace if pod.pod is not None else ""
        secret = secret_for("envoy-gateway", namespace, snapshot)
        if not pod.has(Probe.TLS) or secret is None or pair(secret).leaf is None:
            reason = pod.failures.get(Probe.TLS) or "Secret envoy-gateway was not read"
            yield Unjudged(f"{pod.name}: {reason}")
            continue
        judged = True
        yield from _judge(pod, secret, snapshot)
        for handshake in pod.handshakes:
            if handshake.port == 18000 and not handshake.is_up:
                reason = handshake.reason or handshake.outcome
                yield Unjudged(f"{pod.name} port 18000: {reason}")
    if not judged and not snapshot.control_planes:
        raise CannotJudge("no Envoy Gateway pod was asked")


def _judge(pod: ControlPlane, secret: Resource, snapshot: Snapshot) -> Iterator[Problem]:
    leaf = pair(secret).leaf
    assert leaf is not None
    stale = []
    for handshake in pod.handshakes:
        shown = shown_leaf(handshake)
        if shown is not None and shown.fingerprint != leaf.fingerprint:
            stale.append((handshake.port, shown))
    if not stale:
        return
    changed = changed_at(secret)
    ports = ", ".join(f"{port} ({PORTS.get(port, 'TLS')})" for port, _ in stale)
    fixed = _reads_once(secret, snapshot)
    yield Problem(
        control_plane_location(pod),
        f"serves another certificate than {secret.ref} on port {ports}",
        impact="no proxy connects once the served certificate ends or its CA is dropped",
        evidence=(
            f"Secret: {leaf}" + (f", written {age(changed, snapshot)} ago" if changed else ""),
            *(f"port {port}: {shown}" for port, shown in stale),
            *_started(pod, changed),
        ),
        why="this release reads the certificate once, at its start (GatewayNamespace mode)"
        if fixed
        else "the mounted files are not those of the Secret: subPath, a copy, or a kubelet that "
        "lags",
        remedy=(f"restart pod {pod.name.rpartition('/')[2]}, then look again",),
        settled=fixed or changed is None or snapshot.taken_at - changed >= DELIVERY,
        related=(secret.at("data", "tls.crt"),),
    )


def _started(pod: ControlPlane, changed: object) -> Iterator[str]:
    began = started_at(pod.pod, "envoy-gateway") if pod.pod is not None else None
    if began is not None and changed is not None:
        yield f"the container started {began:%Y-%m-%d %H:%M:%S} UTC"


def _reads_once(secret: Resource, snapshot: Snapshot) -> bool:
    """Return whether this release's xDS server never reads its certificate again."""
    return any(
        install.namespace == secret.namespace and _is_static(install)
        for install in installs(snapshot)
    )


def _is_static(install: Install) -> bool:
    version = install.version
    if not install.is_gateway_namespace_mode or version is None:
        return False
    return version < (1, 7, 4) or (1, 8) <= version < (1, 8, 1)
