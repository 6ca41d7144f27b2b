"""EGD-400 listener-secret-not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Confidence, Problem, Severity
from egops.gatewayapi import CERTIFICATE, OURS, SECRET, condition, is_young
from egops.pki import bindings
from egops.rules import rule
from egops.snapshot import SourceType, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.pki import Binding
    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-400",
    severity=Severity.ERROR,
    reads=(SECRET,),
    optional=(*OURS, CERTIFICATE),
    since="0.1",
    ok="every Secret that a listener names exists",
)
def listener_secret_not_found(snapshot: Snapshot) -> Iterator[Problem]:
    """A listener names a Secret that does not exist.

    ## Why it matters
    The listener is not programmed: its port stays closed, or the TLS handshake fails. If it is the
    only listener of the Gateway, no proxy is made at all.

    ## How to fix it
    Create the Secret, or correct the name in `tls.certificateRefs`. If cert-manager makes it, look
    at the Certificate, its Order and its Challenge: an HTTP-01 challenge needs an HTTP listener on
    port 80.
    """
    if not snapshot.knows(SECRET):
        raise CannotJudge("no Secret in the input")
    for binding in bindings(snapshot):
        if binding.secret is not None or is_young(binding.listener.owner, snapshot):
            continue
        makers = _makers(binding, snapshot)
        from_files = snapshot.source.type is not SourceType.CLUSTER
        if makers and from_files:  # cert-manager will make it
            continue
        yield Problem(
            binding.ref.entry.at("name"),
            f"Secret {binding.ref.namespace}/{binding.ref.name} does not exist",
            impact=f"listener {binding.listener.name} does not serve TLS",
            evidence=tuple(_told(maker) for maker in makers),
            why=_told(makers[0]) if makers else "",
            remedy=_remedy(binding, makers),
            confidence=Confidence.MEDIUM if from_files else Confidence.HIGH,
            related=tuple(maker.at() for maker in makers),
            explains=("EGD-204", "EGD-205", "EGD-211", "EGD-212", "EGD-223", "EGD-442"),
            explains_refs=(str(binding.listener.owner.ref), str(binding.listener.gateway.ref)),
        )


def _makers(binding: Binding, snapshot: Snapshot) -> list[Resource]:
    """Return the cert-manager Certificates that are to write this Secret."""
    return [
        certificate
        for certificate in snapshot.all(CERTIFICATE)
        if certificate.namespace == binding.ref.namespace
        and text(certificate.spec, "secretName") == binding.ref.name
    ]


def _told(certificate: Resource) -> str:
    ready = condition(certificate.status, "Ready")
    state = f"Ready={ready.status} {ready.reason}: {ready.message}" if ready else "no status yet"
    return f"{certificate.ref} ({state})"


def _remedy(binding: Binding, makers: list[Resource]) -> tuple[str, ...]:
    if makers:
        return (f"see why {makers[0].ref} is not issued: its CertificateRequest and Order tell",)
    name = f"{binding.ref.namespace}/{binding.ref.name}"
    return (
        f"create Secret {name} of type kubernetes.io/tls, or correct certificateRefs of "
        f"listener {binding.listener.name}",
    )
