"""EGD-340 policy-invalid."""

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
    our_ancestors,
)
from egops.policies import target_refs, target_selectors
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Condition
    from egops.snapshot import Resource, Snapshot

EG_KINDS = (
    SECURITY_POLICY, CLIENT_TRAFFIC_POLICY, BACKEND_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY,
)  # fmt: skip
ELSEWHERE = {"TargetNotFound", "Conflicted"}  # policy-target-not-found, policy-conflicted


@rule(
    code="EGD-340",
    severity=Severity.ERROR,
    optional=(DEPLOYMENT, ENVOY_GATEWAY, *EG_KINDS, BACKEND_TLS_POLICY),
    since="0.1",
    ok="every policy is accepted",
)
def policy_invalid(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy Gateway refuses a policy as invalid.

    ## Why it matters
    Security, traffic and extension policies fail closed: every route that the policy covers
    answers 500 until it is valid again. An invalid ClientTrafficPolicy or BackendTLSPolicy does
    the same to the routes of its listeners and backends.

    ## How to fix it
    Correct the field that the condition names; remove the policy if its routes must serve now.
    """
    for kind in (*EG_KINDS, BACKEND_TLS_POLICY):
        for policy in snapshot.all(kind):
            for found in _refusals(policy, snapshot):
                yield _problem(policy, found, snapshot)


def _refusals(policy: Resource, snapshot: Snapshot) -> list[Condition]:
    """Return the refusals of a policy, equal ones of several ancestors once."""
    found = (conditions.failed(a.body, "Accepted") for a in our_ancestors(policy, snapshot))
    return list(
        {
            (refused.reason, refused.message): refused
            for refused in found
            if refused
            and refused.reason not in ELSEWHERE
            and (policy.kind != BACKEND_TLS_POLICY or refused.reason == "Invalid")
        }.values()
    )


def _problem(policy: Resource, found: Condition, snapshot: Snapshot) -> Problem:
    covers = [str(target) for target in target_refs(policy)]
    covers += [f"every {s.kind_name} that a selector takes" for s in target_selectors(policy)]
    shown = ", ".join(covers) or "its targets"
    return Problem(
        policy.at("spec"),
        f"is not accepted: {found.message or found.reason}",
        evidence=(conditions.told(found), f"targets: {shown}"),
        why=f"the routes that it covers ({shown}) answer 500"
        if found.reason == "Invalid"
        else found.message,
        remedy=(
            f"correct the field that the condition names: {found.message or found.reason}",
            f"or delete {policy.ref} if its routes must serve now without it",
        ),
        severity=conditions.severity(found, policy, Severity.ERROR),
        settled=found.has_settled(policy, snapshot),
        explains=("EGD-501", "EGD-606"),
        explains_refs=tuple(covers),
    )
