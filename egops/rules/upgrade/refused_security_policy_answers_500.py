"""EGU-1103 refused-security-policy-answers-500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SECURITY_POLICY
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.policyrefs import KINDS
from egops.upgrade.refused import answers_500
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1103",
    severity=Severity.ERROR,
    reads=(SECURITY_POLICY,),
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="every SecurityPolicy in use can be translated",
)
def refused_security_policy_answers_500(snapshot: Snapshot) -> Iterator[Problem]:
    """A SecurityPolicy that can not be translated makes its routes answer 500.

    ## Why it matters
    Routes of a SecurityPolicy that is not accepted worked without it. They answer 500 from now on.

    ## How to fix it
    Repair the policy before the upgrade: its status says what is wrong.
    """
    upgrade_of(snapshot)
    yield from answers_500(snapshot, SECURITY_POLICY)
