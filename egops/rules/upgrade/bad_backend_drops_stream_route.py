"""EGU-1313 bad-backend-drops-stream-route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import TCP_ROUTE, UDP_ROUTE, rule_backend_refs, rules_of
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.backends import KINDS, Fault, Unknown, fault_of, worked_before
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Snapshot, Upgrade
    from egops.upgrade.world import Attachment


@rule(
    code="EGU-1313",
    severity=Severity.ERROR,
    reads=(TCP_ROUTE, UDP_ROUTE),
    optional=(*(kind for kind in ROUTES if kind not in (TCP_ROUTE, UDP_ROUTE)), *KINDS),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every backend of a TCPRoute or UDPRoute can be used",
)
def bad_backend_drops_stream_route(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """One bad backendRef of a TCPRoute or UDPRoute takes the route down; weight 0 stops 1.3.0.

    ## Why it matters
    From 1.3 on the route is not programmed if any of its backends can't be used; 1.2 served the
    others. In 1.3.0 alone a good backend with weight 0 panics the translation: no Gateway of the
    controller gets configuration, and new proxies never become ready.

    ## How to fix it
    Remove the backendRef. Against the panic go to 1.3.1 or later.
    """
    step = upgrade_of(snapshot)
    joined = world(snapshot)
    unknown: dict[str, int] = {}
    for attachment in joined.routes(TCP_ROUTE, UDP_ROUTE):
        rules = list(rules_of(attachment.route))
        if len(entries(attachment.route.spec, "rules")) != 1 or not rules:
            continue
        refs = [
            (ref, fault_of(joined, ref, attachment.route)) for ref in rule_backend_refs(rules[0][1])
        ]
        for _, fault in refs:
            if isinstance(fault, Unknown):
                unknown[fault.kind] = unknown.get(fault.kind, 0) + 1
        bad = [(ref, fault) for ref, fault in refs if isinstance(fault, Fault)]
        if bad:
            if any(fault is None for _, fault in refs) and _serves_the_rest(step, attachment):
                yield _kept(snapshot, *bad[0])
                continue
            served = any(worked_before(ref, attachment.route, fault) for ref, fault in refs)
            yield _bad(snapshot, *bad[0], served=served)
            continue
        zero = [ref for ref, fault in refs if fault is None and ref.entry.body.get("weight") == 0]
        if zero and step.to_version == (1, 3, 0):
            yield _zero(snapshot, zero[0])
    for kind, count in unknown.items():
        yield Unjudged(f"{count} backendRefs not judged: no {kind} in the input")


def _severity(fault: Fault, *, served: bool) -> Severity:
    if not served:
        return Severity.INFO  # connections failed before
    return Severity.WARNING if fault.possible else Severity.ERROR


def _kept(snapshot: Snapshot, ref: ObjectRef, fault: Fault) -> Problem:
    return change(
        snapshot,
        ref.entry.at(),
        f"the bad backend is listed without endpoints: {fault.reason}",
        today="it is left out, the others are served",
        after="it stands in the load assignment without endpoints, the others are served",
        keep=(f"remove the backendRef to {ref}, or create what it names",),
        verify="the route is ResolvedRefs=True and answers",
        severity=Severity.INFO,
        possible=fault.possible,
    )


def _serves_the_rest(step: Upgrade, attachment: Attachment) -> bool:
    since = (1, 4) if attachment.route.kind == TCP_ROUTE else (1, 5)
    return step.to_version >= since


def _bad(snapshot: Snapshot, ref: ObjectRef, fault: Fault, *, served: bool) -> Problem:
    today = "the backends that can be used are served"
    if not served:
        today = "connections fail"
    elif fault.is_mixed:
        today = "the status tells, traffic is served"
    return change(
        snapshot,
        ref.entry.at(),
        f"the route is not programmed any more: {fault.reason}",
        today=today,
        after="the route is Accepted=False and left out; in 1.3 the status may never be written",
        keep=(f"remove the backendRef to {ref}, or create what it names, before the upgrade",),
        verify="the route is Accepted=True and answers",
        severity=_severity(fault, served=served),
        possible=fault.possible,
        fix_patch=patch(ref.entry.resource, ref.entry.path) if served else "",
    )


def _zero(snapshot: Snapshot, ref: ObjectRef) -> Problem:
    return change(
        snapshot,
        ref.entry.at("weight"),
        "a backendRef with weight 0 panics 1.3.0: no Gateway gets configuration",
        today="the backend is left out",
        after="the translation panics, every update is lost, new proxies never become ready",
        keep=("go to 1.3.1 or later", f"or remove the backendRef to {ref}"),
        verify="watchable_panics_recovered_total stays 0",
        fix_patch=patch(ref.entry.resource, ref.entry.path),
    )
