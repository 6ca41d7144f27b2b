"""EGD-420 certificate-name-malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import malformed_names
from egops.finding import Problem, Severity
from egops.inventory import READS, held
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-420",
    severity=Severity.ERROR,
    optional=READS,
    since="0.1",
    ok="every name in a certificate is one that clients can parse",
)
def certificate_name_malformed(snapshot: Snapshot) -> Iterator[Problem]:
    """A DNS name in a certificate is malformed.

    ## Why it matters
    Go refuses the whole certificate, with its good names too: since Envoy Gateway 1.5.3 a trailing
    dot is enough (`x509: SAN dNSName is malformed`).

    ## How to fix it
    Issue the certificate again without dots at the end, blanks and empty labels; write
    international names in their `xn--` form.
    """
    for one in held(snapshot):
        names = malformed_names(one.certificate)
        if names:
            yield Problem(
                one.at,
                f"the name {names[0]!r} in {one.certificate.subject or one.role} is malformed",
                impact="Envoy Gateway and other clients written in Go refuse the certificate"
                if one.is_control_plane
                else "Envoy Gateway refuses the certificate, and so do clients written in Go",
                evidence=(f"names: {', '.join(map(repr, one.certificate.names))}",),
                remedy=("issue it again with well-formed names",),
            )
