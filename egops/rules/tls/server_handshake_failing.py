"""EGD-435 server-handshake-failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Confidence, Problem, Severity
from egops.handshakes import ACCEPTED, CLOSED, NOT_TLS, QUIET, REFUSED, TIMEOUT
from egops.pki import answers_location
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.handshakes import Handshake
    from egops.snapshot import Snapshot

SAID = {
    CLOSED: "can't be reached",
    TIMEOUT: "does not answer",
    NOT_TLS: "speaks no TLS",
    REFUSED: "wants a client certificate",
}
STEPS = {
    CLOSED: "see that the server runs, and that address and port are right",
    TIMEOUT: "see that the server is not stopped, and that no firewall drops packets",
    NOT_TLS: "name the TLS port; egops speaks no STARTTLS",
    REFUSED: "nothing, if it is to accept known clients only",
}


@rule(
    code="EGD-435",
    severity=Severity.ERROR,
    probes=(Probe.SERVER_TLS,),
    since="0.1",
    ok="every server that was named completes a TLS handshake",
)
def server_handshake_failing(snapshot: Snapshot) -> Iterator[Problem]:
    """A server that was named completes no TLS handshake.

    ## Why it matters
    Its certificate can't be judged, and its clients do not get far either.

    ## How to fix it
    The reason tells: nobody listens, something else than TLS is spoken there, no certificate
    belongs to the name that was asked for (`--sni`), or a certificate of the client is wanted.
    """
    for server in snapshot.servers:
        for handshake in server.handshakes:
            if handshake.outcome not in (ACCEPTED, QUIET):
                yield Problem(
                    answers_location(server),
                    _message(handshake),
                    impact="" if handshake.outcome == REFUSED else "clients do not get through",
                    evidence=tuple(f"named by {user}" for user in server.users),
                    remedy=(
                        STEPS.get(handshake.outcome)
                        or "see that the server has a certificate for this name; ask for another "
                        "with --sni",
                    ),
                    severity=Severity.INFO if handshake.outcome == REFUSED else None,
                    confidence=Confidence.HIGH,
                )


def _message(handshake: Handshake) -> str:
    said = SAID.get(handshake.outcome) or f"ends the handshake for {handshake.server_name}"
    return f"{said}: {handshake.reason}" if handshake.reason else said
