"""EGD-106 release-has-known-defect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    DAEMON_SET,
    DEPLOYMENT,
    EG_POLICY_KINDS,
    ENVOY_PROXY,
    HTTP_ROUTE_FILTER,
    OURS,
    POD,
    REFERENCE_GRANT,
    ROUTE_KINDS,
    SECRET,
    SERVICE,
    SERVICE_IMPORT,
    Install,
    installs,
)
from egops.releases import dotted
from egops.rules import rule
from egops.rules.install.defects import DEFECTS, Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Snapshot

SEEN = (
    *OURS, *ROUTE_KINDS, *EG_POLICY_KINDS, BACKEND_TLS_POLICY, BACKEND, SERVICE, SERVICE_IMPORT,
    REFERENCE_GRANT, ENVOY_PROXY, HTTP_ROUTE_FILTER, SECRET, DAEMON_SET, POD,
)  # fmt: skip


@rule(
    code="EGD-106",
    severity=Severity.ERROR,
    reads=(DEPLOYMENT,),
    optional=SEEN,
    since="0.1",
    ok="this release of Envoy Gateway has no known defect that this cluster sets off",
)
def release_has_known_defect(snapshot: Snapshot) -> Iterator[Problem]:
    """The running release of Envoy Gateway has a known defect, and this cluster sets it off.

    ## Why it matters
    The symptoms look like mistakes in your objects and are not. Defects that nothing here sets
    off are listed together, as information: they wait for the object that does.

    ## How to fix it
    Upgrade to a patch release with the fix; until then use the workaround that the finding names.
    """
    known = [install for install in installs(snapshot) if install.version and install.deployment]
    if not known:
        raise CannotJudge("the release of Envoy Gateway is not known")
    for install in known:
        yield from told(install, DEFECTS, "known defects", snapshot)


def told(
    install: Install, defects: tuple[Defect, ...], what: str, snapshot: Snapshot
) -> Iterator[Problem]:
    """Yield a problem per defect that is set off, and one for all that are not."""
    assert install.version
    assert install.deployment
    asleep = []
    for defect in defects:
        if not defect.affects(install.version):
            continue
        places = list(defect.trigger(snapshot)) if defect.trigger else []
        if places:
            yield _triggered(install, defect, places)
        elif defect.fixed[0].isdigit():
            asleep.append(defect)
    if asleep:
        yield Problem(
            install.deployment.at("spec", "template", "spec", "containers"),
            f"release {dotted(install.version)} lacks {len(asleep)} fixes of {what}",
            evidence=tuple(f"{defect.name} (fixed in {defect.fixed})" for defect in asleep),
            why="nothing seen here sets them off",
            remedy=("plan the upgrade to the newest patch release",),
            severity=Severity.INFO,
        )


def _triggered(install: Install, defect: Defect, places: list[Location]) -> Problem:
    assert install.version
    names = list(dict.fromkeys(str(place.ref) for place in places))
    upgrade = (
        f"upgrade Envoy Gateway: fixed in {defect.fixed}"
        if defect.fixed[0].isdigit()
        else "no release has a fix yet: use the workaround"
    )
    return Problem(
        places[0],
        f"sets a defect of release {dotted(install.version)} off: {defect.name}",
        evidence=(
            f"set off by {', '.join(names[:5])}{', …' if len(names) > 5 else ''}",
            f"fixed in {defect.fixed}",
        ),
        remedy=(*([f"for now, {defect.workaround}"] if defect.workaround else []), upgrade),
        related=tuple(places[1:6]),
    )
