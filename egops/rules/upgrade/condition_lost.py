"""EGU-0002 condition-lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.conditions import told
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    EG_POLICY_KINDS,
    GATEWAY,
    GATEWAY_CLASS,
    LISTENER_SET,
    OURS,
    ROUTE_KINDS,
    X_LISTENER_SET,
    condition,
    controller_names,
)
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.compared import before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.gatewayapi import Condition
    from egops.snapshot import Path, Resource, Snapshot

TYPES = ("Accepted", "Programmed", "ResolvedRefs")
JUDGED = (
    GATEWAY_CLASS, GATEWAY, LISTENER_SET, X_LISTENER_SET, *ROUTE_KINDS, *EG_POLICY_KINDS,
    BACKEND_TLS_POLICY, BACKEND,
)  # fmt: skip


class Place(NamedTuple):
    """Where in a status conditions stand: a name that survives reordering, and the path."""

    name: str
    path: Path
    body: Mapping[str, Any]


@rule(
    code="EGU-0002",
    severity=Severity.ERROR,
    optional=tuple(dict.fromkeys((*JUDGED, *OURS))),
    since="0.1",
    ok="every object is as Accepted, Programmed and ResolvedRefs as before the upgrade",
)
def condition_lost(snapshot: Snapshot) -> Iterator[Problem]:
    """An object was Accepted, Programmed or ResolvedRefs before the upgrade and no longer is.

    ## Why it matters
    The new controller refuses, or cannot program, what the old one served. Unless the proxies kept
    the old configuration, its traffic is answered with errors or by another route.

    ## How to fix it
    The new condition's message says what the controller misses: correct the object, or go back to
    the old release and apply what `egops upgrade-check` proposes first.
    """
    past = before(snapshot)
    for kind in JUDGED:
        for resource in snapshot.all(kind):
            old = past.get(resource.ref)
            if old is not None:
                yield from _object(snapshot, past, old, resource)


def _object(snapshot: Snapshot, past: Snapshot, old: Resource, new: Resource) -> Iterator[Problem]:
    now = {place.name: place for place in _places(new, snapshot)}
    for place in _places(old, past):
        here = now.get(place.name)
        for kind in TYPES:
            had = condition(place.body, kind)
            if had is None or not had.is_true:
                continue
            has = condition(here.body, kind) if here is not None else None
            if has is None or not has.is_true:
                yield _problem(snapshot, new, here or place, had, has)


def _problem(
    snapshot: Snapshot, new: Resource, place: Place, had: Condition, has: Condition | None
) -> Problem:
    said = told(has) if has is not None else f"no condition {had.type}"
    where = f" for {place.name}" if place.name else ""
    return Problem(
        new.at(*place.path, section=place.name),
        f"{had.type} was True before the upgrade and is {has.status if has else 'gone'}{where}",
        evidence=(f"before: {told(had)}", f"now: {said}"),
        why=" ".join(has.message.split()) if has is not None else "",
        remedy=(f"see what the controller says: {said}",),
        settled=has is None or has.has_settled(new, snapshot),
    )


def _places(resource: Resource, snapshot: Snapshot) -> Iterator[Place]:
    """Yield where conditions of our controller stand in a status."""
    status = resource.status
    if status.get("conditions"):
        yield Place("", ("status",), status)
    for index, listener in items(status, "listeners"):
        name = f"listener {text(listener, 'name')}"
        yield Place(name, ("status", "listeners", index), listener)
    ours = controller_names(snapshot)
    for field, key in (("parents", "parentRef"), ("ancestors", "ancestorRef")):
        for index, entry in items(status, field):
            if text(entry, "controllerName") in ours:
                ref = section(entry, key)
                namespace = text(ref, "namespace") or resource.namespace
                parts = (text(ref, "kind") or "Gateway", namespace, text(ref, "name"))
                name = "/".join(filter(None, (*parts, text(ref, "sectionName"))))
                yield Place(name, ("status", field, index), entry)
