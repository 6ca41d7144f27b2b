"""EGD-437 server-name-mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.pki import answers_location, shown_leaf
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-437",
    severity=Severity.ERROR,
    probes=(Probe.SERVER_TLS,),
    since="0.1",
    ok="every server that was named shows a certificate for its name",
)
def server_name_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """A server shows a certificate that is not for the name it was asked for.

    ## Why it matters
    Clients compare the name and refuse it. Behind a Gateway it usually means that no listener has
    this hostname, so that another one answers.

    ## How to fix it
    Issue the certificate with the name among its subject alternative names, or ask for the right
    name with `--sni`.
    """
    for server in snapshot.servers:
        for handshake in server.handshakes:
            leaf = shown_leaf(handshake)
            if leaf is not None and not leaf.covers(handshake.server_name):
                yield Problem(
                    answers_location(server),
                    f"its certificate is not for {handshake.server_name}",
                    impact="clients refuse it",
                    evidence=(
                        f"{leaf.subject or 'no subject'}, names: {', '.join(leaf.names) or 'none'}",
                    ),
                    remedy=(f"issue it with {handshake.server_name}, or ask for another --sni",),
                )
