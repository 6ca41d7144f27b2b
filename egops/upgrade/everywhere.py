"""Changes that concern every installation, and which versions of a kind the API server serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import CRD, GWAPI
from egops.snapshot import text
from egops.upgrade.change import change
from egops.upgrade.crds import served
from egops.upgrade.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Resource, Snapshot


def once(  # noqa: PLR0913 - what a finding tells, each by name
    snapshot: Snapshot,
    message: str,
    *,
    today: str,
    after: str,
    keep: tuple[str, ...] = (),
    verify: str = "",
    possible: str = "",
) -> Iterator[Problem]:
    """Yield one info for the installation, at the object that stands for it."""
    anchor = world(snapshot).anchor()
    if anchor is not None:
        yield change(
            snapshot,
            anchor,
            message,
            today=today,
            after=after,
            keep=keep,
            verify=verify,
            possible=possible,
            severity=Severity.INFO,
        )


def bundle_crds(snapshot: Snapshot) -> dict[str, Resource]:
    """Return the CRDs of the Gateway API by the plural of their kind."""
    return {
        text(crd.spec, "names", "plural"): crd
        for crd in snapshot.all(CRD)
        if text(crd.spec, "group") == GWAPI
    }


def lacks(crd: Resource | None, version: str) -> bool:
    """Return whether a CRD is known and does not serve this version."""
    return crd is not None and version not in served(crd)
