"""EGU-1821 upstream-speaks-tls13."""

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
    code="EGU-1821",
    severity=Severity.INFO,
    optional=(BACKEND_TLS_POLICY, BACKEND),
    since="0.1",
    changed_in=(1, 8, 3),
    link=notes_link((1, 8, 3)),
    ok="no backend is reached by TLS",
)
def upstream_speaks_tls13(snapshot: Snapshot) -> Iterator[Problem]:
    """TLS connections to backends may be of version 1.3.

    ## Why it matters
    They were capped at 1.2 by Envoy's default for clients. A backend, or an inspecting firewall
    between, that is not good at 1.3 breaks them.

    ## How to fix it
    Set `backendTLS.maxVersion: \"1.2\"` in the EnvoyProxy to keep the cap.
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
        "the backends can be spoken to in TLS 1.3",
        today="TLS 1.2 is the most",
        after="TLS 1.2 to 1.3, unless the EnvoyProxy or the Backend sets the versions",
        keep=('set backendTLS.maxVersion: "1.2" in the EnvoyProxy',),
        verify="ssl.versions.TLSv1.3 of their clusters; the backends answer",
    )
