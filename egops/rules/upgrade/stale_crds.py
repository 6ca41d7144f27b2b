"""EGU-1324 stale-crds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CRD, GRPC_ROUTE, GWAPI, REFERENCE_GRANT
from egops.rules import rule
from egops.snapshot import SourceType, entries, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.crds import at_least, bundle
from egops.upgrade.releases import MATRIX, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot, Upgrade

DOCS = "https://gateway.envoyproxy.io/docs/install/install-helm/"


@rule(
    code="EGU-1324",
    severity=Severity.ERROR,
    optional=(CRD, GRPC_ROUTE, REFERENCE_GRANT),
    since="0.1",
    changed_in=(1, 0, 0),
    link=DOCS,
    ok="the CRDs are those of the target release, and nothing is kept in an old version",
)
def stale_crds(snapshot: Snapshot) -> Iterator[Problem]:
    """The CRDs are older than the target release, or hold versions that it does not serve.

    ## Why it matters
    Helm never updates CRDs. New fields are pruned without a word, a version that is no longer
    served makes the API server refuse the new CRD, and kinds of another bundle are ignored.

    ## How to fix it
    Rewrite objects kept in an old version, then apply both sets of CRDs of the target release
    before the controller.
    """
    step = upgrade_of(snapshot)
    yield from _fingerprints(snapshot, step)
    yield from _bundle(snapshot, step)
    if step.from_version < (1, 2) <= step.to_version:
        yield from _stored(snapshot)
        yield from _old_versions(snapshot)


def _fingerprints(snapshot: Snapshot, step: Upgrade) -> Iterator[Problem]:
    found = snapshot.all(CRD)
    minor = at_least(found)
    if minor is None or minor >= step.to_version[:2]:
        return
    first = next(crd for crd in found if text(crd.spec, "group").endswith("envoyproxy.io"))
    is_live = snapshot.source.type is SourceType.CLUSTER
    yield change(
        snapshot,
        first.at(),
        f"the CRDs of Envoy Gateway are of {dotted(minor)}, the target is "
        f"{dotted(step.to_version)}",
        today="they belong to the installed release",
        after="fields that are new in the target are pruned without a word",
        keep=("apply the CRDs of the target release before the controller",),
        verify="egops upgrade-check again, or egops doctor",
        severity=Severity.INFO if is_live else Severity.WARNING,
    )


def _bundle(snapshot: Snapshot, step: Upgrade) -> Iterator[Problem]:
    wanted = MATRIX[step.to_version[:2]].gateway_api
    for crd, version, channel in bundle(snapshot.all(CRD)):
        if version == wanted and channel == "experimental":
            continue
        yield change(
            snapshot,
            crd.at("metadata", "annotations"),
            f"the Gateway API CRDs are {version}, channel {channel}; the target brings {wanted}, "
            "channel experimental",
            today="kinds that are not installed are ignored",
            after="the same, for the kinds and versions that the target reads",
            keep=("apply the bundle of the target, unless a provider manages these CRDs",),
            verify="kubectl get crd gateways.gateway.networking.k8s.io -o yaml | grep bundle",
            severity=Severity.INFO,
            possible="certain if a route or policy kind is missing in this bundle",
        )
        return


def _stored(snapshot: Snapshot) -> Iterator[Problem]:
    for crd in snapshot.all(CRD):
        if text(crd.spec, "group") != GWAPI:
            continue
        if text(crd.spec, "names", "plural") not in ("grpcroutes", "referencegrants"):
            continue
        if "v1alpha2" in entries(crd.status, "storedVersions"):
            yield change(
                snapshot,
                crd.at("status", "storedVersions"),
                "objects may be stored as v1alpha2, which the new CRD does not serve",
                today="v1alpha2 is served",
                after="the API server refuses the new CRD",
                keep=(
                    f"kubectl get {crd.name} -A -o yaml | kubectl apply -f -",
                    f"then remove v1alpha2 from status.storedVersions of CRD {crd.name}",
                ),
                verify="kubectl apply of the new CRD succeeds",
            )


def _old_versions(snapshot: Snapshot) -> Iterator[Problem]:
    for kind, version in ((GRPC_ROUTE, "v1"), (REFERENCE_GRANT, "v1beta1")):
        for resource in snapshot.all(kind):
            if text(resource.body, "apiVersion") == f"{GWAPI}/v1alpha2":
                yield change(
                    snapshot,
                    resource.at("apiVersion"),
                    f"{kind.name} v1alpha2 is no longer served",
                    today="v1alpha2 is served",
                    after="an apply is refused",
                    keep=(f"set apiVersion: {GWAPI}/{version}",),
                    verify="kubectl apply --dry-run=server",
                )
