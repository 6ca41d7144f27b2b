"""EGD-244 parent-not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import names_of
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    LISTENER_SET,
    OURS,
    ROUTE_KINDS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    X_LISTENER_SET,
    ObjectRef,
    is_young,
    parent_refs,
    unseen,
)
from egops.listeners import Listener, our_listeners
from egops.rules import rule
from egops.spelling import closest, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PARENTS = (GATEWAY, LISTENER_SET, X_LISTENER_SET)


@rule(
    code="EGD-244",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="every parentRef names a Gateway, section and port that exist",
)
def parent_not_found(snapshot: Snapshot) -> Iterator[Problem]:
    """A route names a Gateway, a listener or a port that does not exist.

    ## Why it matters
    A route whose Gateway does not exist gets no status from anybody and serves nothing. With a
    wrong `sectionName` or `port` the Gateway answers `NoMatchingParent`.

    ## How to fix it
    Correct the parentRef: the namespace defaults to the route's own, `sectionName` is a listener's
    name, and with merged Gateways the parent is still a Gateway, not the class.
    """
    if not snapshot.knows(GATEWAY):
        raise CannotJudge("no Gateway in the input")
    for kind in ROUTE_KINDS:
        for route in snapshot.all(kind):
            for parent in parent_refs(route):
                if problem := _problem(parent, snapshot):
                    yield problem


def _problem(parent: ObjectRef, snapshot: Snapshot) -> Problem | None:
    if parent.ref is None:
        return None
    if parent.ref.kind == GATEWAY_CLASS:
        return Problem(
            parent.entry.at("kind"),
            "names a GatewayClass as its parent",
            remedy=("name a Gateway of that class, also where Gateways are merged",),
            settled=not is_young(parent.entry.resource, snapshot),
        )
    if parent.ref.kind not in PARENTS or not snapshot.knows(parent.ref.kind):
        return None
    if snapshot.get(parent.ref) is None:
        return _missing(parent, snapshot)
    listeners = our_listeners(snapshot).get(parent.ref)
    return _wrong_section(parent, listeners, snapshot) if listeners else None


def _missing(parent: ObjectRef, snapshot: Snapshot) -> Problem:
    assert parent.ref
    names, namespaces = names_of(snapshot, parent.ref.kind)
    here, there = names.get(parent.namespace, []), sorted(namespaces.get(parent.name, []))
    remedy = [f"create {parent}"]
    if close := closest(parent.name, here):
        remedy.insert(0, f"if {close} is meant, correct the name of the parentRef")
    if there:
        remedy.insert(0, f"if the one in {there[0]} is meant, set namespace: {there[0]}")
    return Problem(
        parent.entry.at("name"),
        f"{parent} does not exist",
        evidence=(
            f"{parent.ref.kind.plural} in {parent.namespace}: {some(here)}",
            *unseen(snapshot),
        ),
        remedy=tuple(remedy),
        settled=not is_young(parent.entry.resource, snapshot),
        explains=("EGD-240", "EGD-243", "EGD-341"),
        explains_refs=(str(parent.entry.resource.ref),),
    )


def _wrong_section(
    parent: ObjectRef, listeners: list[Listener], snapshot: Snapshot
) -> Problem | None:
    shown = ", ".join(map(str, listeners))
    names = {listener.name for listener in listeners}
    fault, path = "", ""
    if parent.section_name and parent.section_name not in names:
        fault, path = f"{parent} has no listener {parent.section_name}", "sectionName"
    elif parent.port is not None and not any(
        listener.port == parent.port
        for listener in listeners
        if not parent.section_name or listener.name == parent.section_name
    ):
        fault, path = f"{parent} has no such listener on port {parent.port}", "port"
    if not fault:
        return None
    return Problem(
        parent.entry.at(path),
        fault,
        evidence=(f"listeners: {shown}",),
        remedy=(f"correct {path} of the parentRef: {shown}",),
        settled=not is_young(parent.entry.resource, snapshot),
        explains=("EGD-240", "EGD-243"),
        explains_refs=(str(parent.entry.resource.ref),),
    )
