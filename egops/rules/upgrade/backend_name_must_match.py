"""EGU-1603 backend-name-must-match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, BACKEND_TLS_POLICY, backend_refs
from egops.rules import rule
from egops.snapshot import section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, targets, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1603",
    severity=Severity.ERROR,
    reads=(BACKEND,),
    optional=(
        *ROUTES,
        BACKEND_TLS_POLICY,
    ),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="every Backend with TLS says which name it expects",
)
def backend_name_must_match(snapshot: Snapshot) -> Iterator[Problem]:
    """A Backend with TLS and without SNI has to prove the name that the client asked for.

    ## Why it matters
    SNI is taken from the Host header, and the certificate of the backend must be good for it. A
    certificate for another name makes every request fail with 503.

    ## How to fix it
    Set `tls.sni`, attach a BackendTLSPolicy with a hostname, or set `insecureSkipVerify: true`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = {ref.ref for found in joined.routes() for ref in backend_refs(found.route)}
    named = {
        (policy.namespace, target.name)
        for policy in snapshot.all(BACKEND_TLS_POLICY)
        for target in targets(policy)
        if target.kind == BACKEND.name
    }
    for backend in snapshot.all(BACKEND):
        tls = section(backend.spec, "tls")
        if not tls or text(tls, "sni") or tls.get("insecureSkipVerify") is True:
            continue
        if joined.is_whole and backend.ref not in used:
            continue
        key = (backend.namespace, backend.name)
        if key in named or text(backend.spec, "type") == "DynamicResolver":
            continue
        yield change(
            snapshot,
            backend.at("spec", "tls"),
            "the certificate of the backend must be good for the Host of each request",
            today="no SNI is sent, the name in the certificate is not compared",
            after="SNI is the Host header, and the certificate must be good for it",
            keep=("set tls.sni to a name in the certificate of the backend",),
            verify="the backend answers; ssl.fail_verify_san of its cluster stays 0",
            possible="certain if the certificate is not good for the hosts that clients ask for",
        )
