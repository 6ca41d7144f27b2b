"""EGD-347 client-tls-without-tls-listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, OURS, is_young
from egops.listeners import Listener, our_listeners
from egops.policies import target_refs, target_selectors, targets
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

TLS = {"HTTPS", "TLS"}
FIELDS = ("tls", "http3")


@rule(
    code="EGD-347",
    severity=Severity.WARNING,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=OURS,
    since="0.1",
    ok="client TLS settings apply to listeners that end TLS",
)
def client_tls_without_tls_listener(snapshot: Snapshot) -> Iterator[Problem]:
    """A ClientTrafficPolicy sets TLS for a listener that does not speak TLS.

    ## Why it matters
    The settings are ignored: client certificates are not asked for, and versions and ciphers are
    not limited, although the policy is accepted.

    ## How to fix it
    Change the listener's protocol to HTTPS or TLS, or target the listener that is meant.
    """
    for policy in snapshot.all(CLIENT_TRAFFIC_POLICY):
        fields = [name for name in FIELDS if isinstance(policy.spec.get(name), dict)]
        if not fields:
            continue
        reached = list(_reached(policy, snapshot))
        if reached and not any(listener.is_terminating for listener in reached):
            yield _problem(policy, fields, reached, snapshot)


def _reached(policy: Resource, snapshot: Snapshot) -> Iterator[Listener]:
    """Yield the listeners that the policy applies to."""
    for target, name in targets(policy, snapshot):
        for listener in our_listeners(snapshot).get(target.ref, []):
            if name in ("", listener.name):
                yield listener


def _problem(
    policy: Resource, fields: list[str], reached: list[Listener], snapshot: Snapshot
) -> Problem:
    names = " and ".join(f"listener {listener}" for listener in reached[:3])
    passing = [listener for listener in reached if listener.protocol in TLS]
    return Problem(
        policy.at("spec", fields[0]),
        f"sets {' and '.join(fields)} for {names}, which "
        + ("passes TLS through" if passing else "does not speak TLS"),
        evidence=(
            *(f"target: {target}" for target in target_refs(policy)),
            *(f"selector of {selector.kind_name}" for selector in target_selectors(policy)),
        ),
        why="the settings are ignored there",
        remedy=(
            "set the listener's protocol to HTTPS with a certificate, or target an HTTPS listener",
        ),
        settled=not is_young(policy, snapshot),
        related=tuple(listener.at("protocol") for listener in reached[:3]),
    )
