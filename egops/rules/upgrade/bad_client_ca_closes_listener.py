"""EGU-1823 bad-client-ca-closes-listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, CONFIG_MAP, SECRET
from egops.rules import rule
from egops.snapshot import entries, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.clienttraffic import faults
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PART = "clientValidation"


@rule(
    code="EGU-1823",
    severity=Severity.ERROR,
    optional=(*ROUTES, CLIENT_TRAFFIC_POLICY, CONFIG_MAP, SECRET),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="every ClientTrafficPolicy that asks for certificates has a CA that can be used",
)
def bad_client_ca_closes_listener(snapshot: Snapshot) -> Iterator[Problem]:
    """Client certificates are required although their CA can't be used: nobody can connect.

    ## Why it matters
    Up to 1.7 a listener whose policy has a broken or missing CA answered 500 without asking for
    a certificate. From 1.8 on it asks for one and trusts no CA: the TLS handshake fails.

    ## How to fix it
    Repair the CA, or remove `tls.clientValidation`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        if "clientValidation" not in section(policy.spec, "tls"):
            continue
        hit = [found for found in listeners if found.terminates_tls]
        bad = [f for listener in hit for f in faults(joined, policy, listener) if PART in f.path]
        has_ca = entries(policy.spec, "tls", PART, "caCertificateRefs")
        if not hit or (has_ca and not bad):
            continue
        reason = bad[0].reason if bad else "it names no CA"
        yield change(
            snapshot,
            policy.at(*(bad[0].path if bad else ("spec", "tls", PART))),
            f"TLS handshakes fail: clients need a certificate that no CA vouches for ({reason})",
            evidence=tuple(f"listener: {found.label}" for found in hit),
            today="no certificate is asked for, requests get 500 or are served",
            after="a certificate is required and none is trusted",
            keep=("repair the CA, or remove tls.clientValidation",),
            verify="the policy is Accepted=True; a client with a certificate can connect",
            possible=bad[0].possible if bad else "",
        )
