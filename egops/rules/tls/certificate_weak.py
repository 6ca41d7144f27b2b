"""EGD-422 certificate-weak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import weaknesses
from egops.finding import Problem, Severity
from egops.inventory import AUTHORITY, READS, held
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.inventory import Held
    from egops.snapshot import Snapshot


@rule(
    code="EGD-422",
    severity=Severity.ERROR,
    optional=READS,
    since="0.1",
    ok="no certificate in use has a weak key or signature, and every CA is one",
)
def certificate_weak(snapshot: Snapshot) -> Iterator[Problem]:
    """A certificate has a key or signature that peers refuse, or a CA is not allowed to sign.

    ## Why it matters
    Envoy and Go take no RSA key under 2048 bits and no SHA-1 or MD5 signature. A CA without
    `CA:TRUE`, or with a keyUsage without `keyCertSign`, verifies nothing.

    ## How to fix it
    Issue it again: ECDSA P-256 or RSA 2048 with SHA-256, and CAs with `isCA: true`.
    """
    everything = held(snapshot)
    leaves = {one.certificate.fingerprint for one in everything if one.role != AUTHORITY}
    for one in everything:
        # a leaf that is its own anchor (self-signed, pinned) needs no right to sign
        pinned = one.certificate.fingerprint in leaves or _is_self_signed(one)
        found = weaknesses(one.certificate, as_authority=one.role == AUTHORITY and not pinned)
        if found:
            yield Problem(
                one.at,
                f"{one.certificate.subject or one.role}: {', '.join(found)}",
                impact="peers refuse the connection",
                evidence=(
                    f"{one.certificate.key_type}, serial {one.certificate.serial}",
                    *(f"used by {user}" for user in one.users),
                ),
                remedy=("issue it again by today's measure",),
            )


def _is_self_signed(one: Held) -> bool:
    certificate = one.certificate
    return not one.is_control_plane and certificate.subject == certificate.issuer
