"""EGU-1712 cipher-refuses-policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

KNOWN = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-PSK-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-PSK-AES128-CBC-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-PSK-AES256-CBC-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "PSK-AES128-CBC-SHA",
        "PSK-AES256-CBC-SHA",
        "DES-CBC3-SHA",
    }
)


@rule(
    code="EGU-1712",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(
        *CORE,
        ENVOY_PROXY,
    ),
    since="0.1",
    changed_in=(1, 7, 2),
    link=notes_link((1, 7, 2)),
    ok="every cipher of a ClientTrafficPolicy is one that Envoy knows",
)
def cipher_refuses_policy(snapshot: Snapshot) -> Iterator[Problem]:
    """A ClientTrafficPolicy names a cipher that Envoy does not know: the policy is refused.

    ## Why it matters
    The name was handed to Envoy, which refused the listener. From 1.7.2 on the policy is
    Accepted=False and the routes of its listeners answer 500.

    ## How to fix it
    Correct the name; TLS 1.3 ciphers can't be chosen.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        if joined.is_whole and not any(one.terminates_tls for one in listeners):
            continue
        for index, name in enumerate(entries(policy.spec, "tls", "ciphers")):
            if all(one in KNOWN for one in str(name).strip("[]").split("|")):
                continue
            yield change(
                snapshot,
                policy.at("spec", "tls", "ciphers", index),
                f"the cipher {name} is unknown, the policy is refused",
                today="Envoy refuses the listener and keeps the one it has",
                after="the policy is Accepted=False, its listeners answer 500",
                keep=("remove the name or correct it",),
                verify="the ClientTrafficPolicy is Accepted=True",
                possible="certain if Envoy does not know the name",
            )
