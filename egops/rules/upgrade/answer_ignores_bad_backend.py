"""EGU-1432 answer-ignores-bad-backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import EG, HTTP_ROUTE, HTTP_ROUTE_FILTER, rule_backend_refs, rules_of
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGU-1432",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE,),
    optional=(*(kind for kind in ROUTES if kind != HTTP_ROUTE), *KINDS, HTTP_ROUTE_FILTER),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no rule that redirects or answers itself has a bad backend",
)
def answer_ignores_bad_backend(snapshot: Snapshot) -> Iterator[Problem]:
    """A rule that redirects or answers itself does so in spite of a bad backend.

    ## Why it matters
    1.3 answered 500 for the bad backendRef. From 1.4 on the redirect or the direct response
    counts.

    ## How to fix it
    Remove the backendRef, which has no use in such a rule.
    """
    if upgrade_of(snapshot).from_version < (1, 3):
        return
    joined = world(snapshot)
    for attachment in joined.routes(HTTP_ROUTE):
        for index, entry in rules_of(attachment.route):
            faults = [
                (ref, fault)
                for ref in rule_backend_refs(entry)
                if isinstance(fault := fault_of(joined, ref, attachment.route), Fault)
            ]
            if not faults or not _answers(snapshot, attachment.route, entry.body):
                continue
            ref, fault = faults[0]
            yield change(
                snapshot,
                ref.entry.at(section=f"rule {index}"),
                f"the rule answers itself in spite of {ref}",
                today=f"it answers 500: {fault.reason}",
                after="its redirect or direct response is sent",
                keep=("remove the backendRef",),
                verify="curl the rule",
                possible=fault.possible,
            )


def _answers(snapshot: Snapshot, route: Resource, rule_body: object) -> bool:
    for _, found in items(rule_body, "filters"):
        if section(found, "requestRedirect"):
            return True
        ref = section(found, "extensionRef")
        if text(ref, "group") == EG:
            held = snapshot.find(HTTP_ROUTE_FILTER, route.namespace, text(ref, "name"))
            if held is not None and "directResponse" in held.spec:
                return True
    return False
