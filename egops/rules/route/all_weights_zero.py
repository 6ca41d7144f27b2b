"""EGD-247 all-weights-zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    our_routes,
    rule_backend_refs,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-247",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE),
    since="0.1",
    ok="every rule gives at least one backend a weight",
)
def all_weights_zero(snapshot: Snapshot) -> Iterator[Problem]:
    """All backends of a rule have weight 0.

    ## Why it matters
    No backend may take a request, so Envoy answers every request of the rule with a 500. It
    happens when a canary is rolled back and the stable backend was at 0 already.

    ## How to fix it
    Give one backend a weight of 1 or more, or remove the rule.
    """
    for route in our_routes(snapshot):
        for _, entry in rules_of(route):
            backends = list(rule_backend_refs(entry))
            weights = [number(backend.entry.body, "weight", default=1) for backend in backends]
            if backends and not any(weights):
                names = ", ".join(map(str, backends))
                yield Problem(
                    entry.at("backendRefs"),
                    f"{names} {'has' if len(backends) == 1 else 'have all'} weight 0",
                    why="requests of the rule are answered with a 500",
                    remedy=(f"give one of {names} a weight of at least 1",),
                    explains=("EGD-501",),
                    explains_refs=(str(route.ref),),
                )
