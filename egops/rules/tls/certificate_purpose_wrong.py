"""EGD-421 certificate-purpose-wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CLIENT_AUTH, SERVER_AUTH, can_sign, missing_purposes
from egops.finding import Problem, Severity
from egops.inventory import CLIENT, PEER, READS, SERVER, held
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.inventory import Held
    from egops.snapshot import Snapshot

NEEDED = {SERVER: (SERVER_AUTH,), CLIENT: (CLIENT_AUTH,), PEER: (SERVER_AUTH, CLIENT_AUTH)}


@rule(
    code="EGD-421",
    severity=Severity.ERROR,
    optional=READS,
    since="0.1",
    ok="every certificate may be used for what it is used for",
)
def certificate_purpose_wrong(snapshot: Snapshot) -> Iterator[Problem]:
    """A certificate lacks the purpose that it is used for.

    ## Why it matters
    A certificate without `extendedKeyUsage` may do everything; one that has it only what it lists.
    Envoy and Go check that: a server needs `server auth`, a client `client auth`, and the rate
    limit service, which is both, needs both.

    ## How to fix it
    Issue it again with the purpose. In a cert-manager Certificate that is `usages`: `server auth`
    for `envoy-gateway`, `client auth` for `envoy`, both for `envoy-rate-limit`.
    """
    for one in held(snapshot):
        if one.role not in NEEDED:
            continue
        missing = missing_purposes(one.certificate, NEEDED[one.role])
        if missing:
            yield _problem(
                one,
                f"the certificate lacks the purpose {' and '.join(missing)}",
                f"issue it again with the usage {', '.join(missing)}",
            )
        elif not can_sign(one.certificate):
            yield _problem(
                one,
                "its keyUsage lacks digitalSignature",
                "issue it again with the usage digital signature",
                Severity.WARNING,
            )


def _problem(one: Held, message: str, step: str, severity: Severity | None = None) -> Problem:
    return Problem(
        one.at,
        message,
        impact="whoever checks it refuses the connection"
        if severity is None
        else "TLS 1.3 and every cipher with forward secrecy fail with clients that check it",
        evidence=(
            f"{one.certificate.subject or 'no subject'}, serial {one.certificate.serial}",
            *(f"used by {user}" for user in one.users),
        ),
        remedy=(step,),
        severity=severity,
    )
