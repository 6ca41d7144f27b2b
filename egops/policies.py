"""Policies and what they attach to: targetRef, targetRefs and targetSelectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    EG_POLICY_KINDS,
    GATEWAY,
    GWAPI,
    LISTENER_SET,
    ROUTE_KINDS,
    X_LISTENER_SET,
    Entry,
    ObjectRef,
    kind_of,
    object_ref,
    our_ancestors,
    per_snapshot,
)
from egops.listeners import selects
from egops.snapshot import entries, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Kind, Ref, Resource, Snapshot

POLICY_KINDS = (*EG_POLICY_KINDS, BACKEND_TLS_POLICY)
TARGET_KINDS = (GATEWAY, LISTENER_SET, X_LISTENER_SET, *ROUTE_KINDS)


class Selector(NamedTuple):
    """One entry of `targetSelectors`; `kind` is None for kinds egops does not know."""

    entry: Entry
    kind: Kind | None
    kind_name: str


def is_foreign(policy: Resource, snapshot: Snapshot) -> bool:
    """Return whether only another controller speaks of the policy: others use BackendTLSPolicy."""
    if policy.kind != BACKEND_TLS_POLICY or not entries(policy.status, "ancestors"):
        return False
    return not our_ancestors(policy, snapshot)


def target_refs(policy: Resource) -> Iterator[ObjectRef]:
    """Yield what a policy names as its targets."""
    single = policy.spec.get("targetRef")
    if isinstance(single, dict):
        yield object_ref(Entry(policy, ("spec", "targetRef"), single), group=GWAPI)
    for index, body in items(policy.spec, "targetRefs"):
        yield object_ref(Entry(policy, ("spec", "targetRefs", index), body), group=GWAPI)


def target_selectors(policy: Resource) -> Iterator[Selector]:
    """Yield the selectors of a policy."""
    for index, body in items(policy.spec, "targetSelectors"):
        entry = Entry(policy, ("spec", "targetSelectors", index), body)
        group = text(body, "group") or GWAPI
        yield Selector(entry, kind_of(group, text(body, "kind")), text(body, "kind"))


@per_snapshot
def _labelled(snapshot: Snapshot) -> dict[tuple[Kind, str], list[Resource]]:
    """Return the objects with labels that a selector can mean, by kind and namespace."""
    found: dict[tuple[Kind, str], list[Resource]] = {}
    for kind in TARGET_KINDS:
        for resource in snapshot.all(kind):
            if resource.labels:
                found.setdefault((kind, resource.namespace), []).append(resource)
    return found


def selected(selector: Selector, snapshot: Snapshot) -> list[Resource]:
    """Return the objects in the policy's namespace that a selector takes."""
    if selector.kind is None:
        return []
    candidates = _labelled(snapshot).get((selector.kind, selector.entry.resource.namespace), [])
    wanted = {
        "matchLabels": section(selector.entry.body, "matchLabels"),
        "matchExpressions": selector.entry.body.get("matchExpressions"),
    }
    return [resource for resource in candidates if selects(wanted, resource.labels)]


def targets(policy: Resource, snapshot: Snapshot) -> Iterator[tuple[Resource, str]]:
    """Yield each object that a policy attaches to, with the section it names or nothing."""
    for target in target_refs(policy):
        found = snapshot.get(target.ref) if target.ref else None
        if found is not None:
            yield found, target.section_name
    for selector in target_selectors(policy):
        for resource in selected(selector, snapshot):
            yield resource, ""


def policies_on(snapshot: Snapshot, kind: Kind) -> dict[Ref, list[tuple[Resource, str]]]:
    """Return the policies of a kind by the object they attach to, with the section they name."""
    key = ("policies_on", kind)
    if key not in snapshot.derived:
        found: dict[Ref, list[tuple[Resource, str]]] = {}
        for policy in snapshot.all(kind):
            for target, name in targets(policy, snapshot):
                found.setdefault(target.ref, []).append((policy, name))
        snapshot.derived[key] = found
    kept: dict[Ref, list[tuple[Resource, str]]] = snapshot.derived[key]
    return kept
