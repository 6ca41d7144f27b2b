"""EGU-1921 keys-fetched-with-tls13."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Snapshot


@rule(
    code="EGU-1921",
    severity=Severity.INFO,
    optional=(*ROUTES, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no SecurityPolicy fetches keys or tokens by TLS",
)
def keys_fetched_with_tls13(snapshot: Snapshot) -> Iterator[Problem]:
    """Keys and tokens are fetched with TLS 1.3 where the server offers it.

    ## Why it matters
    The proxies' connections to JWKS and OIDC servers were capped at TLS 1.2. A server that is
    not good at 1.3, or a firewall that inspects, breaks the login.

    ## How to fix it
    Try the servers with `openssl s_client -tls1_3` from the proxies' network.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(SECURITY_POLICY):
        for index, provider in items(policy.spec, "jwt", "providers"):
            if text(provider, "remoteJWKS", "uri").startswith("https"):
                place = ("spec", "jwt", "providers", index, "remoteJWKS", "uri")
                yield _problem(snapshot, policy.at(*place), "the keys")
        if section(policy.spec, "oidc", "provider"):
            yield _problem(snapshot, policy.at("spec", "oidc", "provider"), "tokens")


def _problem(snapshot: Snapshot, at: Location, what: str) -> Problem:
    return change(
        snapshot,
        at,
        f"{what} can be fetched with TLS 1.3",
        today="TLS 1.2 is the most",
        after="TLS 1.3 where the server offers it",
        verify="jwt_authn.jwks_fetch_failed stays 0, people can log in",
    )
