"""EGD-203 gateway-class-not-found."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import GATEWAY, GATEWAY_CLASS
from egops.rules import rule
from egops.snapshot import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-203",
    severity=Severity.ERROR,
    reads=(GATEWAY, GATEWAY_CLASS),
    since="0.1",
    ok="every Gateway names a GatewayClass that exists",
)
def gateway_class_not_found(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway names a GatewayClass that does not exist.

    ## Why it matters
    No controller picks the Gateway up: it gets no status, no proxy and no address, and nobody
    reports an error.

    ## How to fix it
    Correct `spec.gatewayClassName` (it can be changed in place), or create the GatewayClass.
    """
    if not snapshot.knows(GATEWAY_CLASS):
        raise CannotJudge("no GatewayClass in the input")
    names = [resource.name for resource in snapshot.all(GATEWAY_CLASS)]
    for gateway in snapshot.all(GATEWAY):
        name = text(gateway.spec, "gatewayClassName")
        if name and name not in names:
            close = get_close_matches(name, names, n=1)
            yield Problem(
                gateway.at("spec", "gatewayClassName"),
                f"GatewayClass {name} does not exist",
                evidence=(f"GatewayClasses: {', '.join(names) or 'none'}",),
                remedy=(
                    f"set spec.gatewayClassName to {close[0] if close else names[0]}"
                    if names
                    else f"create GatewayClass {name}",
                ),
            )
