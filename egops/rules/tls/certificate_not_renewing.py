"""EGD-416 certificate-not-renewing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CERTIFICATE, SECRET, condition, timestamp
from egops.inventory import READS, held
from egops.proxies import age
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

LATE = timedelta(hours=1)  # cert-manager needs some minutes, ACME some more


@rule(
    code="EGD-416",
    severity=Severity.WARNING,
    reads=(CERTIFICATE, SECRET),
    optional=tuple(kind for kind in READS if kind not in (CERTIFICATE, SECRET)),
    since="0.1",
    ok="cert-manager renews every certificate in use that it owns",
)
def certificate_not_renewing(snapshot: Snapshot) -> Iterator[Problem]:
    """cert-manager does not renew a certificate that a listener or the control plane uses.

    ## Why it matters
    The Secret still holds the old certificate, so nothing is noticed until that one ends.

    ## How to fix it
    Follow the chain: `kubectl describe certificate`, then its CertificateRequest, Order and
    Challenge. An HTTP-01 challenge needs a listener on port 80 that answers it.
    """
    users: dict[tuple[str, str], list[str]] = {}
    for one in held(snapshot):
        if one.holder.kind == SECRET and one.key == "tls.crt":
            users.setdefault((one.holder.namespace, one.holder.name), []).extend(one.users)
    for certificate in snapshot.all(CERTIFICATE):
        secret = (certificate.namespace, text(certificate.spec, "secretName"))
        if secret in users and (fault := _fault(certificate, snapshot)):
            yield Problem(
                certificate.at("status"),
                fault,
                impact="the certificate ends without a successor",
                evidence=tuple(f"used by {user}" for user in dict.fromkeys(users[secret])),
                remedy=(
                    f"kubectl -n {certificate.namespace} describe certificate {certificate.name}",
                    "then its CertificateRequest, Order and Challenge",
                ),
                explains=("EGD-402", "EGD-407"),
                explains_refs=(f"Secret {secret[0]}/{secret[1]}",),
            )


def _fault(certificate: Resource, snapshot: Snapshot) -> str:
    ready = condition(certificate.status, "Ready")
    if ready is not None and ready.is_false and ready.has_settled(certificate, snapshot):
        return f"is not Ready: {ready.reason} {ready.message}".strip()
    due = timestamp(certificate.status.get("renewalTime"))
    if due is not None and snapshot.taken_at - due > LATE:
        return f"was to be renewed {age(due, snapshot)} ago"
    return ""
