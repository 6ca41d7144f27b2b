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

OPENSSL = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "AES128-GCM-SHA256",
        "AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES256-GCM-SHA384",
        "AES256-SHA",
    }
)
IANA = frozenset(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
    }
)
NOTED, CHECKED, IANA_TAKEN = (1, 7, 2), (1, 8, 0), (1, 8, 1)
# the notes of 1.7.2 tell of the check, its code does not have it; later patches were not read
DOUBT = "certain if the patch of 1.7 has the check that its notes tell of"


@rule(
    code="EGU-1712",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(
        *CORE,
        ENVOY_PROXY,
    ),
    since="0.1",
    changed_in=(1, 0, 0),
    link=notes_link((1, 7, 2)),
    ok="every cipher of a ClientTrafficPolicy is one that the target takes",
)
def cipher_refuses_policy(snapshot: Snapshot) -> Iterator[Problem]:
    """A ClientTrafficPolicy names a cipher that Envoy Gateway does not take: it is refused.

    ## Why it matters
    The name was handed to Envoy. From 1.8 on (1.7.2 by its notes) the policy is Accepted=False and
    the routes of its listeners answer 500. Groups such as `[A|B]` are refused, too, and in 1.8.0
    the names of the IANA.

    ## How to fix it
    Write one of the 14 names as OpenSSL does; TLS 1.3 ciphers can't be chosen.
    """
    step = upgrade_of(snapshot)
    first = CHECKED if step.to_version >= CHECKED else NOTED
    if not step.from_version < first <= step.to_version:
        return
    known = OPENSSL | IANA if step.to_version >= IANA_TAKEN else OPENSSL
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        if joined.is_whole and not any(one.terminates_tls for one in listeners):
            continue
        for index, name in enumerate(entries(policy.spec, "tls", "ciphers")):
            if str(name) in known:
                continue
            yield change(
                snapshot,
                policy.at("spec", "tls", "ciphers", index),
                f"the cipher {name} is refused, and the policy with it",
                today="the name is handed to Envoy, which takes it or refuses the listener",
                after="the policy is Accepted=False, its listeners answer 500",
                keep=("remove the name, or write it as OpenSSL does, without groups",),
                verify="the ClientTrafficPolicy is Accepted=True",
                possible=DOUBT if step.to_version < CHECKED else "",
            )
