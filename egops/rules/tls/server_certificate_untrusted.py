"""EGD-436 server-certificate-untrusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.pki import answers_location, shown_chain
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import Snapshot


@rule(
    code="EGD-436",
    severity=Severity.ERROR,
    probes=(Probe.SERVER_TLS,),
    since="0.1",
    ok="the chain of every server that was named leads to a trusted CA",
)
def server_certificate_untrusted(snapshot: Snapshot) -> Iterator[Problem]:
    """The chain that a server shows leads to no CA that is trusted.

    ## Why it matters
    Clients that trust the same CAs refuse it. Often an intermediate is missing: browsers that have
    it from elsewhere do not notice, other clients fail.

    ## How to fix it
    Let the server send its intermediates after its certificate, without the root. If it is of a CA
    of your own, name that with `--ca`.
    """
    for server in snapshot.servers:
        for handshake in server.handshakes:
            chain = shown_chain(handshake)
            if handshake.trust_error and chain:
                yield Problem(
                    answers_location(server),
                    f"its chain leads to nobody trusted: {handshake.trust_error}",
                    impact="clients with the same CAs refuse it",
                    evidence=(
                        f"judged by {handshake.trust}",
                        *(f"[{number}] {_line(each)}" for number, each in enumerate(chain)),
                    ),
                    remedy=(_step(chain),),
                )


def _line(each: Certificate) -> str:
    return f"{each.subject or 'no subject'}, issued by {each.issuer}"


def _step(chain: tuple[Certificate, ...]) -> str:
    last = chain[-1]
    if last.subject == last.issuer:
        return f"name the CA with --ca if {last.subject} is one of your own"
    return f"add the certificate of {last.issuer} to the server's chain, or name it with --ca"
