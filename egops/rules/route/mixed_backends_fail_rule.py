"""EGD-248 mixed-backends-fail-rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.backends import fault_of
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND,
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    OURS,
    REFERENCE_GRANT,
    SERVICE,
    SERVICE_IMPORT,
    is_young,
    our_routes,
    rule_backend_refs,
    rules_of,
    running_version,
)
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGD-248",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY, SERVICE, REFERENCE_GRANT),
    optional=(*OURS, GRPC_ROUTE, BACKEND, SERVICE_IMPORT),
    versions=((1, 3), (1, 6, 0)),
    since="0.1",
    ok="no rule mixes backends that resolve with backends that do not",
)
def mixed_backends_fail_rule(snapshot: Snapshot) -> Iterator[Problem]:
    """One broken backendRef makes Envoy Gateway fail the whole rule.

    ## Why it matters
    In Envoy Gateway 1.3 to 1.6.0 a single backendRef that does not resolve turns all requests of
    its rule into 500s, also those that healthy backends would take.

    ## How to fix it
    Remove or repair the broken backendRef now; upgrade to 1.6.1 or later, where only the broken
    share of the requests fails.
    """
    if running_version(snapshot) is None:
        return
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(route):
            backends = list(rule_backend_refs(entry))
            bad = [backend for backend in backends if fault_of(backend, snapshot)]
            if not bad or len(bad) == len(backends):
                continue
            names = ", ".join(map(str, bad))
            good = ", ".join(str(backend) for backend in backends if backend not in bad)
            yield Problem(
                entry.at("backendRefs"),
                f"every request of the rule fails because {names} does not resolve",
                evidence=tuple(fault.message for b in bad if (fault := fault_of(b, snapshot))),
                why=f"this release fails the whole rule, although {good} resolves",
                remedy=(
                    f"remove or repair the backendRef to {names}",
                    "upgrade Envoy Gateway to 1.6.1 or later",
                ),
                settled=not is_young(route, snapshot),
                related=tuple(backend.entry.at() for backend in bad),
                explains=("EGD-501",),
                explains_refs=(str(route.ref),),
            )
