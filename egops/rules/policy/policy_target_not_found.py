"""EGD-341 policy-target-not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.backends import names_of
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    DEPLOYMENT,
    ENVOY_GATEWAY,
    GATEWAY,
    GATEWAY_CLASS,
    LISTENER_SET,
    ROUTE_KINDS,
    SERVICE,
    SERVICE_IMPORT,
    X_LISTENER_SET,
    ObjectRef,
    is_young,
    our_ancestors,
    unseen,
)
from egops.policies import (
    POLICY_KINDS,
    Selector,
    is_foreign,
    selected,
    target_refs,
    target_selectors,
)
from egops.rules import rule
from egops.snapshot import SourceType, items, text
from egops.spelling import closest, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

TARGETS = (
    GATEWAY, GATEWAY_CLASS, LISTENER_SET, X_LISTENER_SET, *ROUTE_KINDS, SERVICE, SERVICE_IMPORT,
    BACKEND,
)  # fmt: skip


@rule(
    code="EGD-341",
    severity=Severity.WARNING,
    optional=(DEPLOYMENT, ENVOY_GATEWAY, *POLICY_KINDS, *TARGETS),
    since="0.1",
    ok="every policy attaches to something that exists",
)
def policy_target_not_found(snapshot: Snapshot) -> Iterator[Problem]:
    """A policy's target does not exist.

    ## Why it matters
    The policy does nothing. Newer releases say `TargetNotFound`; older ones leave the status
    empty, or leave an `Accepted=True` behind from before the target was deleted. A policy and its
    targets share a namespace.

    ## How to fix it
    Correct the name, kind or sectionName, move the policy to the target's namespace, or label the
    objects that `targetSelectors` should take.
    """
    for kind in POLICY_KINDS:
        for policy in snapshot.all(kind):
            if is_foreign(policy, snapshot):
                continue
            told = False
            for target in target_refs(policy):
                if problem := _target_problem(policy, target, snapshot):
                    told = True
                    yield problem
            for selector in target_selectors(policy):
                if problem := _selector_problem(policy, selector, snapshot):
                    told = True
                    yield problem
            if not told:
                yield from _reported(policy, snapshot)


def _target_problem(policy: Resource, target: ObjectRef, snapshot: Snapshot) -> Problem | None:
    if target.ref is None or target.ref.kind not in TARGETS:
        return None
    # an EG policy has no namespace in its targetRef; others' must not reach out either
    ref = target.ref._replace(namespace=policy.namespace if target.ref.kind.namespaced else "")
    found = snapshot.get(ref)
    if found is not None:
        return _section_problem(policy, target, found, snapshot)
    if not snapshot.knows(ref.kind):
        return None
    names, namespaces = names_of(snapshot, ref.kind)
    here, there = names.get(ref.namespace, []), sorted(namespaces.get(ref.name, []))
    remedy = [f"create {ref}, or correct the target"]
    if close := closest(ref.name, here):
        remedy.insert(0, f"if {close} is meant, correct the name of the target")
    if there:
        remedy.insert(0, f"move the policy to namespace {there[0]}, where {ref.name} is")
    return Problem(
        target.entry.at("name"),
        f"its target {ref} does not exist",
        evidence=(
            f"{ref.kind.plural} in {ref.namespace or 'the cluster'}: {some(here)}",
            *_told(policy, snapshot),
            *unseen(snapshot),
        ),
        remedy=tuple(remedy),
        settled=not is_young(policy, snapshot),
        explains=("EGD-355",),
        explains_refs=(str(policy.ref),),
    )


def _section_problem(
    policy: Resource, target: ObjectRef, found: Resource, snapshot: Snapshot
) -> Problem | None:
    name = target.section_name
    if not name or found.kind in (SERVICE_IMPORT, BACKEND, GATEWAY_CLASS):
        return None
    if found.kind in ROUTE_KINDS:
        what, places = "rule", ("rules",)
    elif found.kind == SERVICE:
        what, places = "port", ("ports",)
    else:
        what, places = "listener", ("listeners",)
    names = [text(entry, "name") for _, entry in items(found.spec, *places)]
    if name in names:
        return None
    shown = ", ".join(filter(None, names)) or "none has a name"
    return Problem(
        target.entry.at("sectionName"),
        f"{found.ref} has no {what} named {name}",
        evidence=(f"names of its {what}s: {shown}", *_told(policy, snapshot)),
        remedy=(f"set sectionName to the name of a {what}: {shown}",),
        settled=not is_young(policy, snapshot),
        explains=("EGD-355",),
        explains_refs=(str(policy.ref),),
    )


def _selector_problem(policy: Resource, selector: Selector, snapshot: Snapshot) -> Problem | None:
    if selector.kind is None or selected(selector, snapshot) or not snapshot.knows(selector.kind):
        return None
    if selector.entry.body.get("namespaces") is not None:
        return None  # takes objects of other namespaces: not recomputed here
    return Problem(
        selector.entry.at(),
        f"its selector takes no {selector.kind_name} in namespace {policy.namespace}",
        evidence=_told(policy, snapshot),
        remedy=(f"label the {selector.kind_name} that is meant, or correct the selector",),
        settled=not is_young(policy, snapshot),
        explains=("EGD-355",),
        explains_refs=(str(policy.ref),),
    )


def _told(policy: Resource, snapshot: Snapshot) -> tuple[str, ...]:
    ancestors = our_ancestors(policy, snapshot)
    if not ancestors:
        return ("its status is empty",) if snapshot.source.type is SourceType.CLUSTER else ()
    return tuple(
        dict.fromkeys(told for a in ancestors for told in conditions.told_all(a.body, "Accepted"))
    )


def _reported(policy: Resource, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield what Envoy Gateway says it can't find although it seems to be there."""
    for ancestor in our_ancestors(policy, snapshot):
        found = conditions.failed(ancestor.body, "Accepted")
        if found and found.reason == "TargetNotFound":
            yield Problem(
                policy.at("spec"),
                f"Envoy Gateway does not find its target: {found.message or found.reason}",
                evidence=(conditions.told(found),),
                why="the target is not attached to a Gateway of this controller, or came later",
                remedy=("check that the target is served by this Envoy Gateway",),
                severity=conditions.severity(found, policy, Severity.WARNING),
                settled=found.has_settled(policy, snapshot),
            )
            return
