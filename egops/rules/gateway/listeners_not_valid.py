"""EGD-205 listeners-not-valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY, OURS, condition, our_gateways
from egops.rules import rule
from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Condition
    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-205",
    severity=Severity.WARNING,
    reads=(GATEWAY,),
    optional=OURS,
    since="0.1",
    ok="no accepted Gateway has listeners that are not valid",
)
def listeners_not_valid(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway is accepted, but some of its listeners are not valid.

    ## Why it matters
    The valid listeners serve; the ports or hosts of the others do not answer.

    ## How to fix it
    Repair each listener that the finding names, as its own conditions say.
    """
    for gateway in our_gateways(snapshot):
        found = _not_valid(gateway)
        if found is None:
            continue
        broken = dict(_broken(gateway))
        yield Problem(
            gateway.at("spec", "listeners"),
            f"listeners {', '.join(broken)} are not valid"
            if broken
            else f"listeners are not valid: {found.message}",
            evidence=(conditions.told(found), *(f"{k}: {v}" for k, v in broken.items())),
            why=found.message,
            remedy=tuple(f"repair listener {name}: {why}" for name, why in broken.items())
            or ("repair the listeners that the condition names",),
            severity=conditions.severity(found, gateway, Severity.WARNING),
            settled=found.has_settled(gateway, snapshot),
        )


def _not_valid(gateway: Resource) -> Condition | None:
    """Return the condition that says so: the Gateway's, or before 1.7 the first listener's."""
    accepted = condition(gateway.status, "Accepted")
    if accepted and not accepted.is_true:
        return None  # gateway-not-accepted, or still waiting
    if accepted and accepted.reason == "ListenersNotValid":
        return accepted
    # up to 1.2.8 the reason is the type of a condition of its own
    if own := condition(gateway.status, "ListenersNotValid"):
        return own
    for _, listener in items(gateway.status, "listeners"):
        for kind in ("Accepted", "Programmed"):
            if invalid := conditions.failed(listener, kind):
                return invalid
    return None


def _broken(gateway: Resource) -> Iterator[tuple[str, str]]:
    for _, listener in items(gateway.status, "listeners"):
        told = conditions.told_all(listener)
        if told:
            yield text(listener, "name"), "; ".join(told)
