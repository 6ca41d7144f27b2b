"""EGD-438 server-certificate-expiring."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import days
from egops.finding import Problem, Severity
from egops.pki import Deadline, answers_location, deadline, shown_chain
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import Server, Snapshot

LIMITS = Deadline(timedelta(days=30), timedelta(days=7))


@rule(
    code="EGD-438",
    severity=Severity.ERROR,
    probes=(Probe.SERVER_TLS,),
    since="0.1",
    ok="no certificate of a server that was named ends soon",
)
def server_certificate_expiring(snapshot: Snapshot) -> Iterator[Problem]:
    """A certificate that a server shows ends soon, has ended, or has not begun.

    ## Why it matters
    Clients refuse the server from that second on. An intermediate counts as much as the leaf.

    ## How to fix it
    Renew it, and let the server load it; replace the intermediates by the issuer's present ones.
    """
    for server in snapshot.servers:
        for handshake in server.handshakes:
            for index, each in enumerate(shown_chain(handshake)):
                if problem := _problem(server, index, each, snapshot):
                    yield problem


def _problem(server: Server, index: int, each: Certificate, snapshot: Snapshot) -> Problem | None:
    left = each.remaining(snapshot.taken_at)
    limits = deadline(each.not_before, each.not_after, snapshot, LIMITS)
    severity = None
    if each.not_before > snapshot.taken_at:
        words = f"is valid only {days(each.not_before - snapshot.taken_at)}"
    elif left <= limits.warn:
        words = f"{'ends' if left > timedelta(0) else 'ended'} {days(left)}"
        if left > max(limits.fail, timedelta(0)):
            severity = Severity.WARNING
    else:
        return None
    what = "its certificate" if not index else f"certificate [{index}] of its chain"
    return Problem(
        replace(answers_location(server), section=str(index) if index else ""),
        f"{what} {words}",
        impact="clients refuse it" + ("" if left <= timedelta(0) else " outside its lifetime"),
        evidence=(
            f"{each.subject or 'no subject'} from {each.issuer}, serial {each.serial}",
            f"valid from {each.not_before:%Y-%m-%d %H:%M} to {each.not_after:%Y-%m-%d %H:%M} UTC",
        ),
        remedy=("renew it, and let the server load it",),
        severity=severity,
    )
