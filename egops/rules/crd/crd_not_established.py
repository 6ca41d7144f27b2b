"""EGD-128 crd-not-established."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.crds import our_crds
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import CRD, SETTLE, condition, timestamp
from egops.gatewayapi import conditions as conditions_of
from egops.rules import rule
from egops.snapshot import entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-128",
    severity=Severity.ERROR,
    reads=(CRD,),
    since="0.1",
    ok="every CRD is established and none is being deleted",
)
def crd_not_established(snapshot: Snapshot) -> Iterator[Problem]:
    """A CRD is being deleted, or the API server does not serve it yet.

    ## Why it matters
    Deleting a CRD deletes every object of its kind; it hangs while one of them has a finalizer
    that nobody handles. A CRD that is not `Established` serves nothing.

    ## How to fix it
    Decide whether the deletion is meant. If it is, release the finalizers of the objects that are
    left; a deletion can't be taken back: save the objects, let it finish, install the CRD again.
    """
    if not snapshot.knows(CRD):
        raise CannotJudge("no CustomResourceDefinition in the input")
    for crd in our_crds(snapshot):
        if "deletionTimestamp" in crd.metadata:
            yield _deleting(crd, snapshot)
            continue
        established = condition(crd.status, "Established")
        if established is not None and not established.is_true:
            yield Problem(
                crd.at(),
                f"is not established: {established.reason}",
                evidence=tuple(map(conditions.told, conditions_of(crd.status))),
                why=established.message,
                remedy=("repair what NamesAccepted and NonStructuralSchema say",),
                settled=established.has_settled(crd, snapshot),
            )


def _deleting(crd: Resource, snapshot: Snapshot) -> Problem:
    since = timestamp(crd.metadata.get("deletionTimestamp"))
    finalizers = ", ".join(map(str, entries(crd.metadata, "finalizers"))) or "none"
    return Problem(
        crd.at("metadata", "deletionTimestamp"),
        "is being deleted, and all objects of its kind with it",
        evidence=(
            f"finalizers: {finalizers}",
            *conditions.told_all(crd.status, "Terminating"),
        ),
        remedy=(
            f"save the objects: kubectl get {crd.name} -A -o yaml",
            "release the finalizers of the objects that keep it, then install the CRD again",
        ),
        settled=since is None or snapshot.strict or snapshot.taken_at - since >= SETTLE,
    )
