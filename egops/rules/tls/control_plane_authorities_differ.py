"""EGD-419 control-plane-authorities-differ."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import chain_to
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import changed_at, control_plane_secrets, pair
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.pki import Pair
    from egops.snapshot import Resource, Snapshot

UNDER_WAY = timedelta(minutes=15)


@rule(
    code="EGD-419",
    severity=Severity.WARNING,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the control plane's Secrets hold the same CAs, and each its own certificate's",
)
def control_plane_authorities_differ(snapshot: Snapshot) -> Iterator[Problem]:
    """The Secrets of the control plane hold different CAs, or not that of their own certificate.

    ## Why it matters
    Each side checks the other with its own copy of the CA. As long as the copies differ, the next
    certificate that is replaced can cut a side off, and half of a rotation looks like this. With
    cert-manager it lasts for weeks when the CA is renewed with a new key: each Secret gets the new
    CA only when its own certificate is renewed.

    ## How to fix it
    Finish the rotation: `egops certs rotate`. With cert-manager renew all three certificates, and
    give the CA's Certificate `privateKey.rotationPolicy: Never` and a long duration.
    """
    judged = False
    for namespace, secrets in control_plane_secrets(snapshot):
        pairs = {name: pair(secret) for name, secret in secrets.items()}
        sets = {
            name: frozenset(each.fingerprint for each in found.authorities)
            for name, found in pairs.items()
            if found.authorities
        }
        judged = judged or bool(sets)
        for name, secret in secrets.items():
            found = pairs[name]
            orphan = bool(
                found.leaf
                and found.authorities
                and not chain_to(found.leaf, found.authorities, found.chain[1:])
            )
            if orphan:
                yield _problem(
                    secret, "its ca.crt does not verify its own tls.crt", pairs, snapshot
                )
        if len(set(sets.values())) > 1:
            first = secrets[min(sets, key=lambda name: (name != "envoy-gateway", name))]
            others = ", ".join(sorted(set(sets) - {first.name}))
            message = f"its CAs are not those of {others} in {namespace}"
            yield _problem(first, message, pairs, snapshot)
    if not judged:
        raise CannotJudge("no CA of the control plane was read")


def _problem(secret: Resource, message: str, pairs: dict[str, Pair], snapshot: Snapshot) -> Problem:
    changed = changed_at(secret)
    return Problem(
        secret.at("data", "ca.crt"),
        message,
        impact="the next certificate that is replaced can cut a side off",
        evidence=tuple(
            f"{name}: {', '.join(str(each) for each in found.authorities) or 'no CA'}"
            for name, found in sorted(pairs.items())
        ),
        remedy=("egops certs rotate: it goes on where a rotation stopped",),
        settled=changed is None or snapshot.taken_at - changed > UNDER_WAY,
    )
