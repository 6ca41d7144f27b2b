"""EGD-424 rate-limit-serves-stale-certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import chain_to
from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import answers_location, changed_at, pair, secret_for, shown_leaf
from egops.proxies import age
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import RateLimitServer, Resource, Snapshot

DELIVERY = timedelta(minutes=3)


@rule(
    code="EGD-424",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    optional_probes=(Probe.RATE_LIMIT_TLS,),
    since="0.1",
    ok="every rate limit pod serves the certificate that its Secret holds",
)
def rate_limit_serves_stale_certificate(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A rate limit pod serves another certificate than Secret `envoy-rate-limit` holds.

    ## Why it matters
    The service takes up new files by itself, unless they do not decode, do not fit each other, or
    do not arrive (`subPath`). Proxies whose CA no longer covers the served certificate can't ask
    for limits: requests pass unlimited, or get a 500 with `failClosed`.

    ## How to fix it
    See that certificate and key of the Secret fit each other (EGD-408), then restart the pods.
    """
    for server in snapshot.rate_limit_servers:
        namespace = server.pod.namespace if server.pod is not None else ""
        secret = secret_for("envoy-rate-limit", namespace, snapshot)
        leaf = pair(secret).leaf if secret is not None else None
        if not server.has(Probe.RATE_LIMIT_TLS) or secret is None or leaf is None:
            reason = server.failures.get(Probe.RATE_LIMIT_TLS)
            yield Unjudged(f"{server.name}: {reason or 'Secret envoy-rate-limit was not read'}")
            continue
        for handshake in server.handshakes:
            shown = shown_leaf(handshake)
            if shown is None:
                reason = handshake.reason or handshake.outcome
                yield Unjudged(f"{server.name} port {handshake.port}: {reason}")
            if shown is not None and shown.fingerprint != leaf.fingerprint:
                yield _problem(server, secret, shown, snapshot)


def _problem(
    server: RateLimitServer, secret: Resource, shown: Certificate, snapshot: Snapshot
) -> Problem:
    changed = changed_at(secret)
    trusting = secret_for("envoy", secret.namespace, snapshot)
    authorities = pair(trusting).authorities if trusting is not None else ()
    refused = bool(authorities) and not chain_to(shown, authorities)
    written = f", written {age(changed, snapshot)} ago" if changed else ""
    return Problem(
        answers_location(server),
        f"serves another certificate than {secret.ref}",
        impact="proxies that connect now refuse it: limits are not enforced" if refused else "",
        evidence=(f"Secret: {pair(secret).leaf}{written}", f"served: {shown}"),
        why="the CA in Secret envoy does not verify it" if refused else "",
        remedy=(f"kubectl -n {secret.namespace} rollout restart deployment/envoy-ratelimit",),
        severity=None if refused else Severity.WARNING,
        settled=changed is None or snapshot.taken_at - changed >= DELIVERY,
        related=(secret.at("data", "tls.crt"),),
    )
