"""EGD-212 certificate-partly-invalid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, OURS
from egops.gatewayapi import conditions as conditions_of
from egops.listeners import every_listener
from egops.rules import rule
from egops.rules.gateway.listener_refs_not_resolved import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-212",
    severity=Severity.WARNING,
    reads=(GATEWAY,),
    optional=OURS,
    since="0.1",
    ok="no listener serves with only some of its certificates",
)
def certificate_partly_invalid(snapshot: Snapshot) -> Iterator[Problem]:
    """Some of a listener's certificates are invalid; it serves with the others.

    ## Why it matters
    Hosts of the invalid certificate get another one and fail in the client. The listener stays
    `Programmed=True`, so nothing else says so, until the last valid certificate is gone.

    ## How to fix it
    Replace or remove the Secret that the condition names.
    """
    for listener in every_listener(snapshot):
        for found in conditions_of(listener.status):
            if PARTIAL not in (found.reason, found.type):
                continue
            yield Problem(
                listener.at("tls", "certificateRefs"),
                f"listener {listener} serves without some of its certificates",
                evidence=(conditions.told(found),),
                why=found.message,
                remedy=(f"replace or remove the Secret: {found.message}",),
                severity=conditions.severity(found, listener.owner, Severity.WARNING),
                settled=found.has_settled(listener.owner, snapshot),
            )
            break
