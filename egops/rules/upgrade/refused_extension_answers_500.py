"""EGU-1207 refused-extension-answers-500."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY
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
    code="EGU-1207",
    severity=Severity.ERROR,
    reads=(ENVOY_EXTENSION_POLICY,),
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 2, 0),
    link=notes_link((1, 2, 0)),
    ok="every EnvoyExtensionPolicy in use can be translated",
)
def refused_extension_answers_500(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyExtensionPolicy that can not be translated makes its routes answer 500.

    ## Why it matters
    Routes of an EnvoyExtensionPolicy that is not accepted worked without it. They answer 500 from
    now on.

    ## How to fix it
    Repair the policy before the upgrade: its status says what is wrong.
    """
    upgrade_of(snapshot)
    yield from answers_500(snapshot, ENVOY_EXTENSION_POLICY)
