"""EGD-124 stored-version-not-served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.crds import our_crds, served_versions
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import CRD
from egops.rules import rule
from egops.snapshot import entries, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-124",
    severity=Severity.ERROR,
    reads=(CRD,),
    since="0.1",
    ok="every version that objects are stored in is served",
)
def stored_version_not_served(snapshot: Snapshot) -> Iterator[Problem]:
    """Objects may be stored in a version of a CRD that is not served any more.

    ## Why it matters
    `status.storedVersions` still lists a version that is no longer served, or that the CRD no
    longer knows: such objects can't be read, and the next bundle, which drops the version, can't
    be applied.

    ## How to fix it
    Serve the version again, write every object once (a storage version migration), then take the
    version out of `status.storedVersions`.
    """
    if not snapshot.knows(CRD):
        raise CannotJudge("no CustomResourceDefinition in the input")
    for crd in our_crds(snapshot):
        known = [text(version, "name") for _, version in items(crd.spec, "versions")]
        served = served_versions(crd)
        for index, stored in enumerate(entries(crd.status, "storedVersions")):
            if not known or not isinstance(stored, str) or stored in served:
                continue
            plural = text(crd.spec, "names", "plural") or crd.name
            patch = '{"status":{"storedVersions":["' + (served[0] if served else "v1") + '"]}}'
            yield Problem(
                crd.at("status", "storedVersions", index),
                f"objects may be stored as {stored}, which is "
                + ("not served" if stored in known else "gone from the CRD"),
                evidence=(
                    f"storedVersions: {', '.join(map(str, entries(crd.status, 'storedVersions')))}",
                    f"served: {', '.join(served) or 'none'}",
                ),
                remedy=(
                    f"kubectl get {plural}.{text(crd.spec, 'group')} -A -o json | "
                    "kubectl replace -f -",
                    f"kubectl patch crd {crd.name} --subresource=status --type=merge -p '{patch}'",
                ),
            )
