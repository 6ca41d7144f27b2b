"""EGU-1626 backend-tls-offers-http2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, BACKEND_TLS_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Snapshot


@rule(
    code="EGU-1626",
    severity=Severity.INFO,
    optional=(BACKEND_TLS_POLICY, BACKEND),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no backend is reached by TLS",
)
def backend_tls_offers_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """TLS connections to backends offer `h2` and `http/1.1`.

    ## Why it matters
    The default of `backendTLS.alpnProtocols` also counts for BackendTLSPolicies and Backends
    with TLS: a backend that offers HTTP/2 is spoken to in HTTP/2 from 1.6 on.

    ## How to fix it
    Set `backendTLS.alpnProtocols: [http/1.1]` in the EnvoyProxy if a backend is not good at it.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(BACKEND_TLS_POLICY):
        yield _problem(snapshot, policy.at("spec", "validation"))
    for backend in snapshot.all(BACKEND):
        if section(backend.spec, "tls"):
            yield _problem(snapshot, backend.at("spec", "tls"))


def _problem(snapshot: Snapshot, at: Location) -> Problem:
    return change(
        snapshot,
        at,
        "the backends are offered h2 and http/1.1",
        today="no ALPN protocol is offered",
        after="h2 and http/1.1 are offered, and what the backend chooses is spoken",
        keep=("set backendTLS.alpnProtocols: [http/1.1] in the EnvoyProxy",),
        verify="upstream_cx_http2_total of their clusters",
        possible="certain if a backend chooses h2",
    )
