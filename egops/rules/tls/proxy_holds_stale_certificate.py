"""EGD-425 proxy-holds-stale-certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.certs import chain_to, same_serial
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import changed_at, control_plane_pairs, is_from_file, pair, secret_for
from egops.proxies import age, location_of
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.pki import Pair
    from egops.snapshot import Proxy, Resource, Snapshot
    from egops.xds import admin

DELIVERY = timedelta(minutes=5)  # the kubelet's, on its node, and Envoy's watch


@rule(
    code="EGD-425",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    probes=(Probe.CERTS,),
    since="0.1",
    ok="every proxy holds the certificate and CA of Secret envoy for its xDS connection",
)
def proxy_holds_stale_certificate(snapshot: Snapshot) -> Iterator[Problem]:
    """A proxy holds another certificate or CA for Envoy Gateway than Secret `envoy`.

    ## Why it matters
    Envoy watches the files and takes new ones up within a minute or two. One that does not keeps
    its open connection, and is refused when that ends, at the latest after twelve hours.

    ## How to fix it
    See that the Secret is good (EGD-408), that the proxy could read it (EGD-405), and that the pod
    mounts it as a directory. A custom bootstrap must keep the SDS files of Envoy Gateway.
    """
    judged = False
    for proxy in snapshot.proxies:
        secret = _secret(proxy, snapshot)
        if secret is None or not proxy.has(Probe.CERTS):
            continue
        found = pair(secret)
        for loaded in control_plane_pairs(proxy):
            if {each.dns for each in loaded.cert_chain[0].subject_alt_names} != {
                f"*.{secret.namespace}"
            }:
                continue  # of somebody else
            judged = True
            if found.leaf is None or (loaded.ca_cert and is_from_file(loaded.ca_cert[0])):
                continue  # of the rate limit link: EGD-426
            if stale := _stale(loaded, found, secret, snapshot):
                yield _problem(proxy, secret, stale, snapshot)
    if not judged:
        raise CannotJudge("no proxy told of a certificate for its control plane")


class Stale(NamedTuple):
    """What differs, and whether it breaks the next connection."""

    facts: tuple[str, ...]
    is_fatal: bool


def _secret(proxy: Proxy, snapshot: Snapshot) -> Resource | None:
    return secret_for("envoy", proxy.pod.namespace if proxy.pod is not None else "", snapshot)


def _stale(
    loaded: admin.CertificatePair, found: Pair, secret: Resource, snapshot: Snapshot
) -> Stale | None:
    assert found.leaf is not None
    facts = []
    if not same_serial(loaded.cert_chain[0].serial_number, found.leaf.serial):
        facts.append(
            f"certificate: serial {loaded.cert_chain[0].serial_number}, Secret: {found.leaf}"
        )
    fatal = False
    # Envoy tells only the first CA of a bundle
    if loaded.ca_cert and found.authorities:
        serial = loaded.ca_cert[0].serial_number
        if not same_serial(serial, found.authorities[0].serial):
            facts.append(f"CA: serial {serial}, Secret: {found.authorities[0]}")
            fatal = _trusts_not(serial, found, secret, snapshot)
    return Stale(tuple(facts), fatal) if facts else None


def _trusts_not(serial: str, found: Pair, secret: Resource, snapshot: Snapshot) -> bool:
    """Return whether the CA that a proxy holds is not the one of Envoy Gateway's certificate."""
    gateway = secret_for("envoy-gateway", secret.namespace, snapshot)
    leaf = pair(gateway).leaf if gateway is not None else None
    if leaf is None:
        return False
    path = chain_to(leaf, found.authorities)
    return bool(path) and not any(same_serial(serial, each.serial) for each in path)


def _problem(proxy: Proxy, secret: Resource, stale: Stale, snapshot: Snapshot) -> Problem:
    changed = changed_at(secret)
    return Problem(
        location_of(proxy),
        f"holds another {'CA' if stale.is_fatal else 'certificate or CA'} than {secret.ref}",
        impact="it refuses Envoy Gateway with its next connection, and gets no configuration"
        if stale.is_fatal
        else "it is refused with its next connection once the old CA or certificate is gone",
        evidence=(
            *(f"/certs: {fact}" for fact in stale.facts),
            *((f"the Secret was written {age(changed, snapshot)} ago",) if changed else ()),
        ),
        do_now=("do not restart Envoy Gateway",) if stale.is_fatal else (),
        remedy=(
            "see whether the proxy can read the Secret: egops doctor --only EGD-405",
            "restart the proxy's pod",
        ),
        severity=None if stale.is_fatal else Severity.WARNING,
        settled=changed is None or snapshot.taken_at - changed >= DELIVERY,
        related=(secret.at("data", "tls.crt"),),
    )
