"""EGD-417 client-certificate-missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, key_fault, secret_bytes
from egops.finding import Problem, Severity
from egops.gatewayapi import SECRET
from egops.inventory import USER_KINDS, references
from egops.pki import is_redacted, pair
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-417",
    severity=Severity.WARNING,
    optional=(*USER_KINDS, SECRET),
    since="0.1",
    ok="every client certificate for backends is there and fits its key",
)
def client_certificate_missing(snapshot: Snapshot) -> Iterator[Problem]:
    """The client certificate that proxies are to show to backends is missing or of no use.

    ## Why it matters
    Backends that want a client certificate refuse the proxies; Envoy Gateway may refuse the whole
    EnvoyProxy or Backend.

    ## How to fix it
    Create the Secret (type `kubernetes.io/tls`) with a certificate and the key that belongs to it.
    """
    for owner, ref, key in references(snapshot):
        if key != "tls.crt" or ref.ref is None or ref.ref.kind != SECRET or not ref.name:
            continue
        fault = _fault(ref, snapshot)
        if fault:
            yield Problem(
                ref.entry.at("name"),
                f"{ref}: {fault}",
                impact="backends that want a client certificate refuse the proxies",
                remedy=(f"put certificate and fitting key into {ref}",),
                related=(owner.at(),),
            )


def _fault(ref: ObjectRef, snapshot: Snapshot) -> str:
    assert ref.ref is not None
    secret = snapshot.get(ref.ref)
    if secret is None:
        return "it does not exist" if snapshot.knows(SECRET) else ""
    if "data" not in secret.body and "stringData" not in secret.body:
        return ""  # only its name was given
    return _pair_fault(secret)


def _pair_fault(secret: Resource) -> str:
    found = pair(secret)
    if found.fault:
        return found.fault
    try:
        key = secret_bytes(secret, "tls.key")
    except CertificateError as exc:
        return str(exc)
    if key is None:
        return "tls.key is missing"
    if found.leaf is None or is_redacted(key):
        return ""
    return key_fault(key, found.leaf)
