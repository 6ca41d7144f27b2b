"""EGD-343 policy-conflicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    DEPLOYMENT,
    ENVOY_EXTENSION_POLICY,
    ENVOY_GATEWAY,
    SECURITY_POLICY,
    Condition,
    our_ancestors,
)
from egops.policies import is_foreign, target_refs
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Kind, Resource, Snapshot

KINDS = (
    SECURITY_POLICY, CLIENT_TRAFFIC_POLICY, BACKEND_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY,
    BACKEND_TLS_POLICY,
)  # fmt: skip
Target = tuple[str, str, str]


@rule(
    code="EGD-343",
    severity=Severity.WARNING,
    optional=(DEPLOYMENT, ENVOY_GATEWAY, *KINDS),
    since="0.1",
    ok="no two policies of a kind target the same thing",
)
def policy_conflicted(snapshot: Snapshot) -> Iterator[Problem]:
    """Two policies of one kind target the same object or section, and only one applies.

    ## Why it matters
    The older policy wins; the other one does nothing at all, also where its fields would not
    collide.

    ## How to fix it
    Put the fields of both into one policy, or let one of them target a section.
    """
    for kind in KINDS:
        claims = _claims(snapshot, kind)
        for policy in snapshot.all(kind):
            found = _conflicted(policy, snapshot)
            lost = [
                (target, path, claims[policy.namespace, target][0])
                for target, path in _targets(policy)
                if claims[policy.namespace, target][0] is not policy
            ]
            if found is None and (our_ancestors(policy, snapshot) or not lost):
                continue
            if is_foreign(policy, snapshot):
                continue
            yield _problem(policy, found, lost, snapshot)


def _targets(policy: Resource) -> Iterator[tuple[Target, tuple[str | int, ...]]]:
    for target in target_refs(policy):
        yield (target.kind_name, target.name, target.section_name), target.entry.path


def _claims(snapshot: Snapshot, kind: Kind) -> dict[tuple[str, Target], list[Resource]]:
    """Return who targets what, the winner first: the oldest, then by name."""
    found: dict[tuple[str, Target], list[Resource]] = {}
    for policy in sorted(
        snapshot.all(kind), key=lambda p: (text(p.metadata, "creationTimestamp"), p.name)
    ):
        for target, _ in _targets(policy):
            found.setdefault((policy.namespace, target), []).append(policy)
    return found


def _conflicted(policy: Resource, snapshot: Snapshot) -> Condition | None:
    found = (conditions.failed(a.body, "Accepted") for a in our_ancestors(policy, snapshot))
    return next((entry for entry in found if entry and entry.reason == "Conflicted"), None)


def _problem(
    policy: Resource,
    found: Condition | None,
    lost: list[tuple[Target, tuple[str | int, ...], Resource]],
    snapshot: Snapshot,
) -> Problem:
    if lost:
        (kind, name, section), path, winner = lost[0]
        what = f"{kind} {policy.namespace}/{name}{f', section {section}' if section else ''}"
        at, message = policy.at(*path), f"{winner.ref} has {what} already"
        remedy = f"put the fields of both into {winner.ref}, and delete {policy.ref}"
    else:
        at, winner = policy.at("spec"), None
        message = f"conflicts with another policy: {found.message if found else ''}"
        remedy = "keep one policy per target, or let one of them target a section"
    return Problem(
        at,
        message,
        evidence=(conditions.told(found),) if found else (),
        why="the older policy wins, this one does nothing",
        remedy=(remedy,),
        severity=conditions.severity(found, policy, Severity.WARNING) if found else None,
        settled=found.has_settled(policy, snapshot) if found else True,
        related=(winner.at("spec"),) if winner else (),
        explains=("EGD-355",),
        explains_refs=(str(policy.ref),),
    )
