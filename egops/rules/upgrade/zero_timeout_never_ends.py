"""EGU-1806 zero-timeout-never-ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "extAuth", "timeout")


@rule(
    code="EGU-1806",
    severity=Severity.WARNING,
    reads=(SECURITY_POLICY,),
    optional=(*ROUTES,),
    since="0.1",
    changed_in=(1, 8, 0),
    link=notes_link((1, 8, 0)),
    ok="no authorization service has a timeout of zero",
)
def zero_timeout_never_ends(snapshot: Snapshot) -> Iterator[Problem]:
    """A SecurityPolicy sets the timeout of its authorization service to zero: never from 1.8 on.

    ## Why it matters
    `0s` ended the call at once and means no end now: if the service hangs, requests hang with it.

    ## How to fix it
    Set a finite timeout such as `10s`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        value = text(policy.spec, *PATH[1:])
        if (joined.is_whole and not used) or not re.fullmatch(r"(0+(h|ms|m|s))+", value):
            continue
        yield change(
            snapshot,
            policy.at(*PATH),
            f"the timeout {value} of the authorization service means no end",
            today="it means at once: every call fails",
            after="a call never times out",
            keep=("set a finite timeout, 10s for instance",),
            verify="requests fail after the timeout when the service hangs",
            fix_patch=patch(policy, PATH, "10s"),
        )
