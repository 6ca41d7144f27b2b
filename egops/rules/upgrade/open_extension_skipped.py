"""EGU-1529 open-extension-skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, ENVOY_EXTENSION_POLICY, SECURITY_POLICY, SERVICE
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.backends import KINDS
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGU-1529",
    severity=Severity.WARNING,
    optional=(*ROUTES, *KINDS, SECURITY_POLICY, ENVOY_EXTENSION_POLICY),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="every extension that may fail open has a backend that can be used",
)
def open_extension_skipped(snapshot: Snapshot) -> Iterator[Problem]:
    """An extension that may fail open and can't be used is skipped.

    ## Why it matters
    Up to 1.4 the routes of such a policy answered 500. From 1.5 on they are served without the
    external authorization or processing.

    ## How to fix it
    Repair the backendRefs, or set `failOpen: false` where requests must not pass.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, _ in joined.in_use(SECURITY_POLICY):
        auth = section(policy.spec, "extAuth")
        for kind in ("http", "grpc"):
            if auth.get("failOpen") is True and section(auth, kind):
                place = ("spec", "extAuth", kind)
                yield _problem(snapshot, policy, place, section(auth, kind), "authorization")
    for policy, _ in joined.in_use(ENVOY_EXTENSION_POLICY):
        for index, body in items(policy.spec, "extProc"):
            if body.get("failOpen") is True:
                yield _problem(snapshot, policy, ("spec", "extProc", index), body, "processing")


def _problem(snapshot: Snapshot, policy: Resource, place: Path, body: object, what: str) -> Problem:
    missing = any(_is_missing(snapshot, policy, ref) for _, ref in items(body, "backendRefs"))
    return change(
        snapshot,
        policy.at(*place),
        f"requests pass without external {what} if the service can't be configured",
        today="the routes of the policy answer 500",
        after="they are served without it",
        keep=("repair the backendRefs, or set failOpen: false",),
        verify="the policy is Accepted=True",
        severity=None if missing else Severity.INFO,
        possible="" if missing else "certain if its backends can't be used",
    )


def _is_missing(snapshot: Snapshot, policy: Resource, ref: object) -> bool:
    kind = BACKEND if text(ref, "kind") == "Backend" else SERVICE
    namespace = text(ref, "namespace") or policy.namespace
    return snapshot.knows(kind) and snapshot.find(kind, namespace, text(ref, "name")) is None
