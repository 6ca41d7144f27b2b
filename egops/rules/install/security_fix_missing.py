"""EGD-110 security-fix-missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_EXTENSION_POLICY,
    OURS,
    ROUTE_KINDS,
    SECURITY_POLICY,
    installs,
)
from egops.rules import rule
from egops.rules.install.defects import HOLES
from egops.rules.install.release_has_known_defect import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-110",
    severity=Severity.ERROR,
    reads=(DEPLOYMENT,),
    optional=(*OURS, *ROUTE_KINDS, ENVOY_EXTENSION_POLICY, SECURITY_POLICY),
    since="0.1",
    ok="this release of Envoy Gateway has every security fix that this cluster needs",
)
def security_fix_missing(snapshot: Snapshot) -> Iterator[Problem]:
    """The running release of Envoy Gateway lacks a security fix.

    ## Why it matters
    A hole whose condition is met here (Lua or Wasm extensions, custom backends, proxies in the
    namespaces of their Gateways, …) is an error. Others are listed together, as information:
    they open as soon as somebody uses the feature.

    ## How to fix it
    Upgrade to the newest patch release of the minor, or of a supported minor.
    """
    known = [install for install in installs(snapshot) if install.version and install.deployment]
    if not known:
        raise CannotJudge("the release of Envoy Gateway is not known")
    for install in known:
        yield from told(install, HOLES, "security holes", snapshot)
