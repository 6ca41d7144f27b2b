"""EGU-1311 bad-backend-fails-rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import (
    GRPC_ROUTE,
    HTTP_ROUTE,
    HTTP_ROUTE_FILTER,
    TLS_ROUTE,
    rule_backend_refs,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.backends import KINDS, Fault, Unknown, fault_of, worked_before
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.world import ROUTES, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Entry, ObjectRef
    from egops.snapshot import Resource, Snapshot


class Bad(NamedTuple):
    """A backendRef that can't be used."""

    ref: ObjectRef
    fault: Fault


@rule(
    code="EGU-1311",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE),
    optional=(*(kind for kind in ROUTES if kind not in (HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE)), *KINDS,
              HTTP_ROUTE_FILTER),
    since="0.1",
    changed_in=(1, 3, 0),
    fixed_in=((1, 4, 6), (1, 5, 5), (1, 6, 1)),
    link="https://github.com/envoyproxy/gateway/pull/4363",
    ok="no rule mixes backends that can be used with others that can't",
)  # fmt: skip
def bad_backend_fails_rule(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """One backendRef that can't be used fails the whole rule instead of its share.

    ## Why it matters
    Up to 1.2 a bad backend of an HTTPRoute got its share of 500s and the rest was served. From 1.3
    on every match of the rule answers 500, even if the bad one has weight 0: a typical victim is
    the canary Service that was deleted but is still listed. Repaired in 1.4.6, 1.5.5 and 1.6.1. In
    a GRPCRoute or TLSRoute the bad backend is left out, and the others take its share.

    ## How to fix it
    Remove the backendRef, or create what it names, before the upgrade.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    unknown: dict[str, int] = {}
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE):
        for index, entry in rules_of(attachment.route):
            yield from _rule(joined, attachment.route, index, entry, unknown)
    for kind, count in unknown.items():
        yield Unjudged(f"{count} backendRefs not judged: no {kind} in the input")


def _rule(
    joined: World, route: Resource, index: int, entry: Entry, unknown: dict[str, int]
) -> Iterator[Problem]:
    bad: list[Bad] = []
    before, after = False, False
    for ref in rule_backend_refs(entry):
        fault = fault_of(joined, ref, route)
        if isinstance(fault, Unknown):
            unknown[fault.kind] = unknown.get(fault.kind, 0) + 1
        elif fault is not None:
            bad.append(Bad(ref, fault))
        before = before or worked_before(ref, route, fault)
        after = after or (not isinstance(fault, Fault) and ref.entry.body.get("weight") != 0)
    if not bad:
        return
    worst = next((found for found in bad if not found.fault.is_mixed), bad[0])
    if route.kind == HTTP_ROUTE:
        served = before or _answered(joined.snapshot, route, entry)
        yield _http(joined, worst, index, served=served)
    else:
        yield _dropped(joined, worst, index, before=before, after=after)


def _http(joined: World, bad: Bad, index: int, *, served: bool) -> Problem:
    ref, fault = bad
    zero = ref.entry.body.get("weight") == 0 and not fault.is_mixed
    if not served:
        return change(
            joined.snapshot,
            ref.entry.at(section=f"rule {index}"),
            f"the cluster of rule {index}, which has no backend that can be used, goes away",
            today="the rule answers 500 already; its cluster exists, unused",
            after="the rule answers 500 as before; dashboards on its cluster go empty",
            keep=(f"remove the backendRef to {ref}, or create what it names",),
            verify="the route is ResolvedRefs=True and answers 2xx",
            severity=Severity.INFO,
            possible=fault.possible,
        )
    today = "a share of the requests gets a 500, the rest is served"
    if fault.is_mixed:
        today = "the status tells, traffic is served"
    elif zero:
        today = "the rule is broken already: its cluster is refused, requests get a 503"
    return change(
        joined.snapshot,
        ref.entry.at(section=f"rule {index}"),
        f"rule {index} answers 500 for a bad backendRef: {fault.reason}",
        today=today,
        after="every match of the rule answers 500",
        keep=(f"remove the backendRef to {ref}, or create what it names, before the upgrade",),
        verify="the route is ResolvedRefs=True and answers 2xx",
        severity=Severity.WARNING if fault.possible or zero else Severity.ERROR,
        possible=fault.possible,
        fix_patch=patch(ref.entry.resource, ref.entry.path),
    )


def _dropped(joined: World, bad: Bad, index: int, *, before: bool, after: bool) -> Problem:
    """Return what becomes of a rule of a GRPCRoute or TLSRoute: the bad backend is left out."""
    ref, fault = bad
    today = "the status tells, traffic is served" if fault.is_mixed else "a share of it fails"
    if ref.entry.body.get("weight") == 0 and not fault.is_mixed:
        today = "the rule is broken already: its cluster is refused"
    lost = before and not after
    message = f"rule {index} drops a bad backendRef, the others get its share: {fault.reason}"
    if lost:
        message = f"rule {index} loses its only backend: {fault.reason}"
    elif not after:
        message = f"the cluster of rule {index}, which has no backend that can be used, changes"
        today = "the rule fails already"
    return change(
        joined.snapshot,
        ref.entry.at(section=f"rule {index}"),
        message,
        today=today,
        after="the backend is left out, the rule's other backends take its share"
        if after
        else "the rule fails",
        keep=(f"remove the backendRef to {ref}, or create what it names",),
        verify="the route is ResolvedRefs=True",
        severity=Severity.ERROR if lost else Severity.WARNING if after else Severity.INFO,
        possible=fault.possible,
        fix_patch=patch(ref.entry.resource, ref.entry.path) if after else "",
    )


def _answered(snapshot: Snapshot, route: Resource, entry: Entry) -> bool:
    """Return whether a filter answers the rule's requests, so that backends did not count."""
    for _, found in items(entry.body, "filters"):
        if section(found, "requestRedirect"):
            return True
        name = text(found, "extensionRef", "name")
        held = snapshot.find(HTTP_ROUTE_FILTER, route.namespace, name) if name else None
        if held is not None and section(held.spec, "directResponse"):
            return True
    return False
