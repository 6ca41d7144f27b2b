"""EGD-426 proxy-holds-stale-authority."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import chain_to, same_serial
from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import changed_at, is_from_file, pair, secret_for
from egops.proxies import age, location_of, unanswered
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Proxy, Resource, Snapshot

DELIVERY = timedelta(minutes=5)


@rule(
    code="EGD-426",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    probes=(Probe.CERTS,),
    since="0.1",
    ok="every proxy checks the rate limit service with the CA that Secret envoy holds",
)
def proxy_holds_stale_authority(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy checks the rate limit service (or the Wasm server) with a CA that was replaced.

    ## Why it matters
    For these links Envoy reads the CA from its file once, when the cluster is made, and never
    again. Open connections go on; with the next one, up to a day later, the new certificate is
    refused: requests pass unlimited, or get a 500 with `failClosed`.

    ## How to fix it
    Restart the proxies, in a rolling way, before the old certificate goes. `egops certs rotate`
    does so between its phases.
    """
    for proxy in snapshot.proxies:
        secret = secret_for("envoy", proxy.pod.namespace if proxy.pod is not None else "", snapshot)
        if secret is None or not proxy.has(Probe.CERTS):
            continue
        bundle = pair(secret).authorities
        old = {
            loaded.ca_cert[0].serial_number
            for loaded in proxy.certs.certificates
            if loaded.ca_cert
            and is_from_file(loaded.ca_cert[0])
            and bundle
            and not same_serial(loaded.ca_cert[0].serial_number, bundle[0].serial)
        }
        for serial in sorted(old):
            yield _problem(proxy, secret, serial, snapshot)
    yield from unanswered(snapshot, Probe.CERTS)


def _problem(proxy: Proxy, secret: Resource, serial: str, snapshot: Snapshot) -> Problem:
    changed = changed_at(secret)
    breaks = _refuses(secret, serial, snapshot)
    return Problem(
        location_of(proxy),
        f"checks the rate limit service with a CA that {secret.ref} no longer has first",
        impact="rate limits stop with its next connection, up to a day later"
        if breaks
        else "rate limits stop once the certificate of the rate limit service is replaced",
        evidence=(
            f"/certs: CA serial {serial}, read from its file when the cluster was made",
            f"Secret: {', '.join(map(str, pair(secret).authorities))}",
            *((f"the Secret was written {age(changed, snapshot)} ago",) if changed else ()),
        ),
        remedy=("restart the proxies, in a rolling way",),
        severity=None if breaks else Severity.WARNING,
        settled=changed is None or snapshot.taken_at - changed >= DELIVERY,
        related=(secret.at("data", "ca.crt"),),
    )


def _refuses(secret: Resource, serial: str, snapshot: Snapshot) -> bool:
    """Return whether the certificate of the rate limit service is from another CA than that one."""
    other = secret_for("envoy-rate-limit", secret.namespace, snapshot)
    found = pair(other) if other is not None else None
    if found is None or found.leaf is None:
        return True
    path = chain_to(found.leaf, (*pair(secret).authorities, *found.authorities))
    return not any(same_serial(serial, each.serial) for each in path)
