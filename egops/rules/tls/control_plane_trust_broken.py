"""EGD-408 control-plane-trust-broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, chain_to, key_fault, secret_bytes
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET, installs
from egops.pki import Pair, control_plane_secrets, is_redacted, pair
from egops.rules import rule
from egops.snapshot import section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

# whose certificate is checked, and by whose CA
CHECKED_BY = (
    ("envoy-gateway", "envoy", "proxies connect to Envoy Gateway"),
    ("envoy", "envoy-gateway", "Envoy Gateway accepts the proxies"),
    ("envoy-gateway", "envoy-rate-limit", "the rate limit service connects to Envoy Gateway"),
    ("envoy-rate-limit", "envoy-gateway", "Envoy Gateway accepts the rate limit service"),
    ("envoy-rate-limit", "envoy", "proxies connect to the rate limit service"),
)
RATE_LIMIT = "envoy-rate-limit"


@rule(
    code="EGD-408",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the control plane's certificates verify against the CAs of their peers",
)
def control_plane_trust_broken(snapshot: Snapshot) -> Iterator[Problem]:
    """A control plane certificate is not trusted by the side that checks it.

    ## Why it matters
    It does no harm at first: open connections stay. As soon as Envoy Gateway or a proxy restarts
    the connection is refused, for ever, while Gateways stay Programmed and pods Ready. It happens
    when one Secret is replaced alone: certgen throws its CA key away, so what it makes later is
    signed by another CA.

    ## How to fix it
    Put the old and the new CA together into `ca.crt` of every Secret, then replace the
    certificates, as `egops certs rotate` does.
    """
    installs_read = control_plane_secrets(snapshot)
    if not any(secrets for _, secrets in installs_read):
        raise CannotJudge("none of the control plane's Secrets was read")
    limits_rate = {
        install.namespace: bool(section(install.config, "rateLimit"))
        for install in installs(snapshot)
    }
    for namespace, secrets in installs_read:
        pairs = {name: pair(secret) for name, secret in secrets.items()}
        for name, secret in secrets.items():
            if fault := _own_fault(secret, pairs[name]):
                yield _problem(secret, [fault], snapshot, broken=True)
                continue
            failing = [
                f"{what}: the CA in Secret {peer} does not trust it"
                for subject, peer, what in CHECKED_BY
                if subject == name
                and (limits_rate.get(namespace) or RATE_LIMIT not in (subject, peer))
                and _is_refused(pairs[name], pairs.get(peer))
            ]
            if failing:
                yield _problem(secret, failing, snapshot, broken=False)


def _own_fault(secret: Resource, found: Pair) -> str:
    """Return why a Secret is of no use by itself: unreadable, or key and certificate differ."""
    if found.fault or found.authority_fault:
        return found.fault or found.authority_fault
    try:
        key = secret_bytes(secret, "tls.key")
    except CertificateError as exc:
        return str(exc)
    if key is None or found.leaf is None or is_redacted(key):
        return ""
    fault = key_fault(key, found.leaf)
    return f"tls.key: {fault}" if fault else ""


def _is_refused(subject: Pair, peer: Pair | None) -> bool:
    if peer is None or not peer.authorities or subject.leaf is None:
        return False
    return not chain_to(subject.leaf, peer.authorities, subject.chain[1:])


def _problem(secret: Resource, facts: list[str], snapshot: Snapshot, *, broken: bool) -> Problem:
    found = pair(secret)
    fingerprints = []
    if found.leaf is not None:
        fingerprints.append(
            f"certificate: issued by {found.leaf.issuer}, serial {found.leaf.serial}"
        )
    for namespace, secrets in control_plane_secrets(snapshot):
        if namespace == secret.namespace:
            fingerprints += [
                f"CA in {name}: {' '.join(a.fingerprint[:16] for a in pair(each).authorities)}"
                for name, each in secrets.items()
                if pair(each).authorities
            ]
    message = facts[0] if broken else "its certificate is not trusted by the side that checks it"
    return Problem(
        secret.at("data", "tls.crt"),
        message,
        impact="the next restart of Envoy Gateway or of a proxy cuts the proxies off",
        evidence=tuple(([] if broken else facts) + fingerprints),
        why="" if broken else "; ".join(facts),
        do_now=("do not restart Envoy Gateway or the proxies",),
        remedy=(
            "restore one CA bundle in ca.crt of all three Secrets, then replace the certificates: "
            "egops certs rotate",
        ),
        explains=("EGD-440", "EGD-405", "EGD-419", "EGD-434"),
    )
