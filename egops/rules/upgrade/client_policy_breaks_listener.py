"""EGU-1305 client-policy-breaks-listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY
from egops.rules import rule
from egops.upgrade.backends import KINDS as BACKEND_KINDS
from egops.upgrade.backends import serves
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.clienttraffic import KINDS, Fault, faults
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, Listener, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1305",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(*ROUTES, *KINDS, *BACKEND_KINDS),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every ClientTrafficPolicy can be translated for its listeners",
)
def client_policy_breaks_listener(snapshot: Snapshot) -> Iterator[Problem]:
    """A ClientTrafficPolicy with an error was half applied and now takes its listeners down.

    ## Why it matters
    Up to 1.2 only the status told: the listener ran with a part of the policy, and one with a
    broken CA ran without asking for client certificates. From 1.3 on every HTTP route of the
    listener answers 500, and TCP and TLS routes lead nowhere.

    ## How to fix it
    Repair or remove the policy before the upgrade. A repaired CA starts to enforce client
    certificates, which 1.2 silently did not.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        found: dict[Fault, list[Listener]] = {}
        for listener in listeners:
            for fault in faults(joined, policy, listener):
                found.setdefault(fault, []).append(listener)
        for fault, hit in found.items():
            routes = sum(
                serves(joined, found.route)
                for listener in hit
                for found in joined.routes_of(listener)
            )
            severity = Severity.INFO if not routes else Severity.ERROR
            if routes and fault.possible:
                severity = Severity.WARNING
            yield change(
                snapshot,
                policy.at(*fault.path),
                f"the policy can't be translated ({fault.reason}) and fails "
                f"{routes} route{'' if routes == 1 else 's'}",
                evidence=tuple(f"listener: {listener.label}" for listener in hit),
                today="the listener runs with a part of the policy, the status alone tells",
                after=_effect(hit),
                keep=("correct or remove the value before the upgrade; no switch brings it back",),
                verify="no ClientTrafficPolicy is Accepted=False, curl each listener",
                severity=severity,
                possible=fault.possible,
            )


def _effect(hit: list[Listener]) -> str:
    if all(listener.is_http for listener in hit):
        return "every route of the listener answers 500"
    return "the routes of the listener lead nowhere: connections are closed"
