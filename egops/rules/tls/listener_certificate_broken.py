"""EGD-401 listener-certificate-broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.certs import CertificateError, expired, key_fault, secret_bytes
from egops.finding import Problem, Severity
from egops.gatewayapi import OURS, SECRET, running_version
from egops.pki import TLS_TYPE, is_redacted, listener_secrets, pair
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.pki import Binding
    from egops.snapshot import Resource, Snapshot

SPREADS_UP_TO = (1, 8, 2)  # one bad chain is rejected with everything else of the proxy


@rule(
    code="EGD-401",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=OURS,
    since="0.1",
    ok="every listener certificate decodes, fits its key and has a valid chain",
)
def listener_certificate_broken(snapshot: Snapshot) -> Iterator[Problem]:
    """The Secret of a listener holds no usable certificate and key.

    ## Why it matters
    Envoy Gateway refuses the reference, or Envoy refuses the Secret: the listener keeps the old
    certificate as long as its proxies live, and new proxies have none. Up to Envoy Gateway 1.8.2
    one bad chain can break every listener of the proxy.

    ## How to fix it
    Issue the certificate again and store leaf, intermediates and the fitting key together. An
    expired intermediate in `tls.crt` must be replaced or removed.
    """
    for secret, users in listener_secrets(snapshot):
        for fault in _faults(secret, snapshot):
            yield _problem(secret, users, fault, snapshot)


class Fault(NamedTuple):
    """What is wrong with a Secret, and under which key."""

    key: str
    message: str
    step: str


def _faults(secret: Resource, snapshot: Snapshot) -> Iterator[Fault]:
    if "data" not in secret.body and "stringData" not in secret.body:
        return  # only its name was given
    kind = text(secret.body, "type")
    if kind and kind != TLS_TYPE:
        yield Fault("type", f"is of type {kind}", f"create it again with type {TLS_TYPE}")
    found = pair(secret)
    if found.fault:
        yield Fault("tls.crt", found.fault, "issue the certificate again")
        return
    if found.leaf is None:
        return
    over = expired(found.chain[1:], snapshot.taken_at)
    for each in over:
        until = each.not_after.strftime("%Y-%m-%d")
        step = "replace the chain by the issuer's current one"
        yield Fault("tls.crt", f"its chain holds {each.subject}, expired since {until}", step)
    try:
        key = secret_bytes(secret, "tls.key")
    except CertificateError as exc:
        yield Fault("tls.key", str(exc), "store the key as the API expects it: base64 of the PEM")
        return
    if key is None or not key.strip():
        yield Fault("tls.key", "tls.key is missing", "store the key with its certificate")
    elif not is_redacted(key) and (fault := key_fault(key, found.leaf)):
        yield Fault("tls.key", fault, "store the certificate and the key that belong together")


def _problem(secret: Resource, users: list[Binding], fault: Fault, snapshot: Snapshot) -> Problem:
    running = running_version(snapshot)
    spreads = running is not None and running <= SPREADS_UP_TO
    where = ("type",) if fault.key == "type" else ("data", fault.key)
    return Problem(
        secret.at(*where),
        fault.message if fault.key == "type" else f"{fault.message}",
        impact="other listeners of the same proxies can break with it"
        if spreads
        else "the listener keeps its old certificate, and new proxies have none",
        evidence=tuple(f"used by {user}" for user in users),
        do_now=("do not restart, roll or scale the proxies of these listeners",),
        remedy=(fault.step,),
        related=tuple(user.ref.entry.at("name") for user in users),
        explains=("EGD-204", "EGD-205", "EGD-211", "EGD-212", "EGD-405", "EGD-406"),
        explains_refs=tuple(
            dict.fromkeys([str(secret.ref), *(str(user.listener.owner.ref) for user in users)])
        ),
    )
