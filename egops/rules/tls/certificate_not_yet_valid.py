"""EGD-418 certificate-not-yet-valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import days
from egops.finding import Problem, Severity
from egops.inventory import AUTHORITY, READS, held
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.inventory import Held
    from egops.snapshot import Snapshot


@rule(
    code="EGD-418",
    severity=Severity.ERROR,
    optional=READS,
    since="0.1",
    ok="every certificate in use is valid already",
)
def certificate_not_yet_valid(snapshot: Snapshot) -> Iterator[Problem]:
    """A certificate begins in the future.

    ## Why it matters
    Whoever checks it refuses it until then. The usual cause is a clock: that of the machine that
    made the certificate was ahead. What counts here is the clock of the API server, not the one of
    the machine where egops runs.

    ## How to fix it
    Correct the clock of the issuer and issue the certificate again; its beginning should lie an
    hour back, because clocks of nodes differ.
    """
    everything = held(snapshot)
    for one in everything:
        if one.certificate.not_before <= snapshot.taken_at:
            continue
        begins = days(one.certificate.not_before - snapshot.taken_at)
        yield Problem(
            one.at,
            f"{one.certificate.subject or one.role} is valid only {begins}",
            impact="whoever checks it refuses it until then",
            evidence=(
                f"valid from {one.certificate.not_before:%Y-%m-%d %H:%M} UTC, serial "
                f"{one.certificate.serial}",
                *(f"used by {user}" for user in one.users),
            ),
            remedy=("correct the clock of the issuer, then issue it again",),
            severity=Severity.WARNING if _has_another(one, everything, snapshot) else None,
        )


def _has_another(one: Held, everything: list[Held], snapshot: Snapshot) -> bool:
    """Return whether a CA has a valid one beside it in its bundle."""
    return one.role == AUTHORITY and any(
        other.at == one.at and other.certificate.not_before <= snapshot.taken_at
        for other in everything
    )
