"""EGD-121 bundle-version-mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.crds import BUNDLE_VERSION, our_crds
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import CRD, DEPLOYMENT, ENVOY_GATEWAY, running_version
from egops.releases import BUNDLES, Version, bundle_of, dotted
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-121",
    severity=Severity.WARNING,
    reads=(CRD,),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="the Gateway API CRDs are those that this release of Envoy Gateway is built for",
)
def bundle_version_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """The Gateway API CRDs are of another bundle than Envoy Gateway is built for, or are mixed.

    ## Why it matters
    With older CRDs fields that Envoy Gateway knows are pruned without a word, and kinds or
    versions that it needs are missing. A mixture means that an update stopped half-way or that two
    pipelines own the CRDs.

    ## How to fix it
    Apply the whole bundle that belongs to the release, server-side, from one place only, and
    before the next upgrade of Envoy Gateway.
    """
    if not snapshot.knows(CRD):
        raise CannotJudge("no CustomResourceDefinition in the input")
    bundles: dict[Version, list[Resource]] = {}
    for crd in our_crds(snapshot):
        if version := bundle_of(text(crd.annotations, BUNDLE_VERSION)):
            bundles.setdefault(version, []).append(crd)
    running = running_version(snapshot)
    expected = BUNDLES.get((running[0], running[1])) if running else None
    newest = max(bundles, default=())
    for version, crds in sorted(bundles.items()):
        if severity := _severity(version, expected, bundles):
            yield _problem(version, crds, expected, newest, severity)


def _severity(
    version: Version, expected: tuple[Version, ...] | None, bundles: dict[Version, list[Resource]]
) -> Severity | None:
    if expected is None:
        return Severity.WARNING if version != max(bundles) else None
    if version < expected[0]:
        return Severity.WARNING
    if version[:2] <= expected[-1][:2]:
        return None
    return Severity.INFO if len(bundles) == 1 else Severity.WARNING


def _problem(
    version: Version,
    crds: list[Resource],
    expected: tuple[Version, ...] | None,
    newest: Version,
    severity: Severity,
) -> Problem:
    wanted = " or ".join(dotted(bundle) for bundle in expected) if expected else dotted(newest)
    names = [crd.name.partition(".")[0] for crd in crds]
    return Problem(
        crds[0].at("metadata", "annotations", BUNDLE_VERSION),
        f"bundle {dotted(version)} instead of {wanted} ({', '.join(names)})",
        evidence=(f"{len(crds)} CRDs are of bundle {dotted(version)}", f"expected: {wanted}"),
        why="Envoy Gateway is built for another bundle"
        if expected
        else "the CRDs are of several bundles",
        remedy=(
            f"apply the Gateway API bundle v{wanted.rpartition(' ')[2]} with kubectl apply "
            "--server-side, from one place only",
        ),
        severity=severity,
        related=tuple(crd.at() for crd in crds[1:6]),
    )
