"""EGD-120 crd-version-missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.crds import KIND_OF_CRD, count_objects, place_of_absent, served_versions
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import CRD, DEPLOYMENT, EG, ENVOY_GATEWAY, Install, installs
from egops.releases import BUNDLES, FAILS, NEEDS, Need, dotted
from egops.rules import rule
from egops.snapshot import Probe, SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

# kinds that are absent by right where nobody uses them: they are needed once objects exist
EXPERIMENTAL = ("tcproutes.", "udproutes.", "tlsroutes.", "xlistenersets.", "listenersets.")


@rule(
    code="EGD-120",
    severity=Severity.ERROR,
    reads=(CRD, DEPLOYMENT),
    optional=(ENVOY_GATEWAY, *KIND_OF_CRD.values()),
    optional_probes=(Probe.EG_LOG,),
    since="0.1",
    ok="every CRD that this release of Envoy Gateway needs is there, in the version it needs",
)
def crd_version_missing(snapshot: Snapshot) -> Iterator[Problem]:
    """A CRD, or the version of it that this release of Envoy Gateway needs, is missing.

    ## Why it matters
    Some kinds keep Envoy Gateway from starting. Most are skipped with one line in its log: their
    objects are stored, and ignored for good. It happens when Envoy Gateway is upgraded and the
    CRDs are not.

    ## How to fix it
    Apply the Gateway API bundle that belongs to the release, then Envoy Gateway's own CRDs, with
    `kubectl apply --server-side`; then restart Envoy Gateway: it decides what to watch when it
    starts.
    """
    if not snapshot.knows(CRD):
        raise CannotJudge("no CustomResourceDefinition in the input")
    found = installs(snapshot)
    if not found:
        raise CannotJudge("no Envoy Gateway was found that needs CRDs")
    crds = {crd.name: crd for crd in snapshot.all(CRD)}
    complete = snapshot.source.type is SourceType.CLUSTER
    for install in found:
        for need in NEEDS:
            crd = crds.get(need.crd)
            if not need.applies_to(install.version) or (crd is None and not complete):
                continue
            if crd is not None and need.version in served_versions(crd):
                continue
            if problem := _problem(need, crd, install, snapshot):
                yield problem


def _is_optional(need: Need) -> bool:
    """Return whether the kind is of the experimental channel: absent by right where unused."""
    alpha = need.crd.startswith("backendtlspolicies.") and need.version != "v1"
    return alpha or need.crd.startswith(EXPERIMENTAL)


def _problem(
    need: Need, crd: Resource | None, install: Install, snapshot: Snapshot
) -> Problem | None:
    count = count_objects(need.crd, snapshot)
    if need.effect != FAILS and not count and _is_optional(need):
        return None
    version = dotted(install.version) if install.version else "this release"
    served = ", ".join(served_versions(crd)) if crd else ""
    lines = _log_lines(need, snapshot)
    ignored = f"its {count} objects are ignored" if count else "its objects would be ignored"
    place = install.deployment or install.config_object
    assert place is not None  # an install is made of one of the two
    return Problem(
        crd.at("spec", "versions") if crd else place_of_absent(need.crd, place.origin),
        f"{need.version} is not served (only {served or 'nothing'} is), and Envoy Gateway "
        f"{version} needs it"
        if crd
        else f"is not installed, and Envoy Gateway {version} needs it",
        evidence=(
            f"needed: {need.crd} {need.version}; served: {served or 'nothing'}",
            *([f"objects of the kind: {count}"] if count else []),
            *lines,
        ),
        why=f"Envoy Gateway {version} does not start without it"
        if need.effect == FAILS
        else ignored,
        remedy=_remedy(need, install),
        severity=None if need.effect == FAILS or count or EG in need.crd else Severity.WARNING,
        related=(place.at(),),
        explains=("EGD-100", "EGD-102", "EGD-121", "EGD-129", "EGD-243")
        if need.effect == FAILS
        else ("EGD-129", "EGD-243"),
    )


def _remedy(need: Need, install: Install) -> tuple[str, ...]:
    restart = f"kubectl -n {install.namespace} rollout restart deployment envoy-gateway"
    if EG in need.crd:
        return (
            "apply the CRDs of Envoy Gateway: helm template gateway-crds-helm of the same version, "
            "then kubectl apply --server-side -f -",
            restart,
        )
    running = install.version
    bundles = BUNDLES.get((running[0], running[1])) if running else None
    which = f"v{dotted(bundles[-1])}" if bundles else "of the release"
    return (
        f"apply the Gateway API bundle {which} with kubectl apply --server-side",
        restart,
    )


def _log_lines(need: Need, snapshot: Snapshot) -> list[str]:
    """Return the last line in which Envoy Gateway says that it misses the kind."""
    kind = KIND_OF_CRD.get(need.crd)
    found = []
    for control_plane in snapshot.control_planes:
        if kind is None or not control_plane.has(Probe.EG_LOG):
            continue
        for line in control_plane.log.splitlines():
            missing = f"{kind.name} CRD not found" in line
            if missing or ("no matches for kind" in line and f'"{kind.name}"' in line):
                found.append(f"log: {line.strip()[:200]}")
    return found[-1:]
