"""EGU-1409 service-account-token-mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.everywhere import once
from egops.upgrade.releases import notes_link
from egops.upgrade.sidecars import MOUNTED, without_token
from egops.upgrade.world import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1409",
    severity=Severity.WARNING,
    optional=(*CORE, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 0, 0),
    link=notes_link((1, 4, 2)),
    ok="the proxies have a ServiceAccount token before and after, or never",
)
def service_account_token_mounted(snapshot: Snapshot) -> Iterator[Problem]:
    """1.4.0 and 1.4.1 mount a ServiceAccount token in the proxies, 1.4.2 takes it away again.

    ## Why it matters
    With the token, whoever gets into a proxy can talk to the API server. Without it, containers
    that were added to the proxies' pods and need the API server fail.

    ## How to fix it
    Go to 1.4.2 or later. Set `automountServiceAccountToken: true` by a patch of the EnvoyProxy if a
    container needs the token.
    """
    step = upgrade_of(snapshot)
    if step.to_version in MOUNTED and step.from_version < MOUNTED[0]:
        yield from once(
            snapshot,
            "the proxies' pods get a ServiceAccount token",
            today="automountServiceAccountToken: false",
            after="the token of the proxy's ServiceAccount is mounted into its pods",
            keep=("go to 1.4.2 or later",),
            verify="the volumes of a proxy pod",
        )
    elif step.from_version in MOUNTED and step.to_version[:2] == (1, 4):
        yield from without_token(snapshot)
