"""EGU-1312 bad-mirror-drops-route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, Entry, object_ref, rules_of
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import is_in_force
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Resource, Snapshot

ONLY_THE_RULE = ((1, 6, 6), (1, 7, 0))


@rule(
    code="EGU-1312",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GRPC_ROUTE),
    optional=(*(kind for kind in ROUTES if kind not in (HTTP_ROUTE, GRPC_ROUTE)), *KINDS),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/pull/4363",
    ok="every mirror leads to a backend that can be used",
)
def bad_mirror_drops_route(snapshot: Snapshot) -> Iterator[Problem]:
    """A mirror to a backend that can't be used was skipped and now drops the whole route.

    ## Why it matters
    The error of a mirror ends the translation of the route: all of its rules vanish for that
    Gateway, and requests get a 404. From 1.6.6 and 1.7 on only the rule answers 500.

    ## How to fix it
    Delete the mirror filter, or create what it names, before the upgrade.
    """
    step = upgrade_of(snapshot)
    joined = world(snapshot)
    dropped = not is_in_force(step.to_version, ONLY_THE_RULE)
    after = "the whole route is Accepted=False: all its rules vanish, requests get a 404"
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        route = attachment.route
        for index, entry in rules_of(route):
            mirrors = [(ref, fault_of(joined, ref, route)) for ref in _mirrors(entry)]
            # the last mirror of an HTTPRoute rule decides, the first one of a GRPCRoute rule: a
            # good mirror there panics the translation, before and after
            judged = mirrors[-1:] if route.kind == HTTP_ROUTE else mirrors[:1]
            panics = route.kind != HTTP_ROUTE and any(fault is None for _, fault in mirrors)
            for ref, fault in judged:
                if not isinstance(fault, Fault):
                    continue
                yield change(
                    snapshot,
                    ref.entry.at(section=f"rule {index}"),
                    f"the mirror of rule {index} fails the {'route' if dropped else 'rule'}: "
                    f"{fault.reason}",
                    today="another mirror of the rule panics the translation"
                    if panics
                    else "the mirror is skipped, the status alone tells",
                    after=after if dropped else "the rule answers 500",
                    keep=(f"delete the mirror to {ref}, or create what it names",),
                    verify="the route is Accepted=True and ResolvedRefs=True",
                    severity=Severity.WARNING if fault.possible or panics else Severity.ERROR,
                    possible=fault.possible,
                    fix_patch=_without(route, ref),
                )


def _mirrors(entry: Entry) -> Iterator[ObjectRef]:
    for index, body in items(entry.body, "filters"):
        mirror = section(body, "requestMirror", "backendRef")
        if mirror:
            path = (*entry.path, "filters", index, "requestMirror", "backendRef")
            yield object_ref(Entry(entry.resource, path, mirror))


def _without(route: Resource, ref: ObjectRef) -> str:
    return patch(route, ref.entry.path[:-2])
