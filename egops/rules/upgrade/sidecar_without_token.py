"""EGU-1509 sidecar-without-token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.sidecars import MOUNTED, without_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1509",
    severity=Severity.WARNING,
    optional=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no container in the proxies can miss a ServiceAccount token",
)
def sidecar_without_token(snapshot: Snapshot) -> Iterator[Problem]:
    """The proxies' pods have no ServiceAccount token, which 1.4.0 and 1.4.1 mounted.

    ## Why it matters
    Containers that were added to the pods and talk to the API server fail.

    ## How to fix it
    Set `automountServiceAccountToken: true` by a patch of the EnvoyProxy, or project a token for
    the container.
    """
    if upgrade_of(snapshot).from_version in MOUNTED:
        yield from without_token(snapshot)
