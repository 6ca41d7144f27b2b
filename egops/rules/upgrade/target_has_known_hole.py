"""EGU-0015 target-has-known-hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY, OURS, ROUTE_KINDS, SECURITY_POLICY
from egops.rules import rule
from egops.rules.install import triggers
from egops.rules.install.defects import HOLES
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import dotted, last_patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.rules.install.defects import Defect
    from egops.snapshot import Location, Snapshot

FIRST_LUA = (1, 4)  # 1.3 takes the field and does nothing with it


@rule(
    code="EGU-0015",
    severity=Severity.WARNING,
    optional=(*OURS, *ROUTE_KINDS, ENVOY_EXTENSION_POLICY, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://github.com/envoyproxy/gateway/security/advisories",
    ok="no security hole of the target release is open to these objects",
)
def target_has_known_hole(snapshot: Snapshot) -> Iterator[Problem]:
    """The target release has a known security hole that these objects open.

    ## Why it matters
    A patch of the same minor closes it: there is no reason to go to a release without it.

    ## How to fix it
    Go to the newest patch of the minor; where that one has the hole as well, to a later minor.
    """
    step = upgrade_of(snapshot)
    found: dict[Location, list[Defect]] = {}
    for hole in HOLES:
        trigger = hole.trigger
        if trigger is None or trigger is triggers.always or not hole.affects(step.to_version):
            continue
        if trigger is triggers.lua and step.to_version < FIRST_LUA:
            continue
        for place in trigger(snapshot):
            found.setdefault(place, []).append(hole)
    newest = last_patch(step.to_version)
    for place, holes in found.items():
        open_still = any(hole.affects(newest) for hole in holes)
        better = "a later minor" if open_still else dotted(newest)
        yield change(
            snapshot,
            place,
            f"it opens {len(holes)} security hole(s) of {dotted(step.to_version)}",
            evidence=tuple(f"{hole.name} (fixed in {hole.fixed})" for hole in holes),
            today="the hole is there as well"
            if any(hole.affects(step.from_version) for hole in holes)
            else "the installed release has closed it, or does not know the feature",
            after="the target has it",
            keep=(f"go to {better} instead",),
            verify="the image of Deployment envoy-gateway has the tag you chose",
        )
