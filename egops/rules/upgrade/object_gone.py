"""EGU-0003 object-gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import DERIVED as DERIVED_KINDS
from egops.gatewayapi import EG, GWAPI, KINDS, XGWAPI
from egops.rules import rule
from egops.upgrade.compared import before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

JUDGED = tuple(
    kind for kind in KINDS if kind.group in (GWAPI, EG, XGWAPI) and kind not in DERIVED_KINDS
)


@rule(
    code="EGU-0003",
    severity=Severity.ERROR,
    optional=JUDGED,
    since="0.1",
    ok="every object that was there before the upgrade still is",
)
def object_gone(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """An object of the Gateway API or of Envoy Gateway does not exist any more.

    ## Why it matters
    Deleting a CRD, or replacing it by one that no longer serves a version, deletes its objects:
    routes and policies are silently gone, and what they protected or routed is not.

    ## How to fix it
    Apply the object again in a version that the new CRD serves. The bundle that was saved before
    the upgrade still has it (`egops bundle`), without the values of Secrets.
    """
    past = before(snapshot)
    for kind in JUDGED:
        if not past.all(kind):
            continue
        if not snapshot.knows(kind):
            yield Unjudged(f"{kind.plural} not compared: not read after the upgrade")
            continue
        why = "its CRD is not installed" if kind in snapshot.absent else ""
        for resource in past.all(kind):
            if snapshot.get(resource.ref) is None:
                yield Problem(
                    resource.at(),
                    "it was there before the upgrade and is gone",
                    why=why,
                    remedy=(f"apply {resource.ref} again from its manifest or from the bundle",),
                )
