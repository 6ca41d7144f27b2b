"""EGD-423 trust-transition-unfinished."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import days
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import changed_at, control_plane_secrets, pair
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

LONG = timedelta(days=2)


@rule(
    code="EGD-423",
    severity=Severity.WARNING,
    reads=(SECRET,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="no Secret of the control plane trusts several CAs for long",
)
def trust_transition_unfinished(snapshot: Snapshot) -> Iterator[Problem]:
    """The control plane trusts several CAs since days: a rotation was not finished.

    ## Why it matters
    Old and new CA side by side are the middle of a rotation. Nothing fails, but the CA that was to
    be replaced is still trusted, and what it issued still gets in.

    ## How to fix it
    `egops certs rotate` goes on where the rotation stopped; `egops certs rollback` goes back.
    """
    judged = False
    for _, secrets in control_plane_secrets(snapshot):
        for secret in secrets.values():
            bundle = pair(secret).authorities
            judged = judged or bool(bundle)
            changed = changed_at(secret)
            if len({each.fingerprint for each in bundle}) < 2 or changed is None:
                continue
            if snapshot.taken_at - changed > LONG:
                yield Problem(
                    secret.at("data", "ca.crt"),
                    f"it trusts {len(bundle)} CAs, written {days(changed - snapshot.taken_at)}",
                    impact="what the old CA issued is still let in",
                    evidence=tuple(map(str, bundle)),
                    remedy=("egops certs rotate: it goes on where the rotation stopped",),
                )
    if not judged:
        raise CannotJudge("no CA of the control plane was read")
