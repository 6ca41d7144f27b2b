"""EGU-1326 internal-caller-stripped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, GRPC_ROUTE, HTTP_ROUTE, rules_of
from egops.rules import rule
from egops.snapshot import items, text
from egops.upgrade.bootstrap import kind_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

GUARD = "envoy.reloadable_features.explicit_internal_address_config"


@rule(
    code="EGU-1326",
    severity=Severity.WARNING,
    optional=(*ROUTES, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://www.envoyproxy.io/docs/envoy/v1.33.0/version_history/v1.33/v1.33.0",
    ok="no route asks whether a caller is internal",
)
def internal_caller_stripped(snapshot: Snapshot) -> Iterator[Problem]:
    """Callers with private addresses are no longer internal to Envoy.

    ## Why it matters
    Envoy 1.33 trusts no address unless told: `x-envoy-internal` is not set, `x-envoy-` request
    headers of pods in the cluster are stripped, and their `x-request-id` is made anew unless
    `preserveXRequestID` is set.

    ## How to fix it
    Don't depend on these headers. For a while the runtime guard
    `envoy.reloadable_features.explicit_internal_address_config: false` in the bootstrap keeps it.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    if any(kind_of(proxy) and GUARD in str(proxy.spec) for proxy in snapshot.all(ENVOY_PROXY)):
        return
    certain = False
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        for index, entry in rules_of(attachment.route):
            for number, match in items(entry.body, "matches"):
                for place, header in items(match, "headers"):
                    if text(header, "name").lower() != "x-envoy-internal":
                        continue
                    certain = True
                    yield change(
                        snapshot,
                        entry.at("matches", number, "headers", place, section=f"rule {index}"),
                        "callers in the cluster no longer match x-envoy-internal",
                        today="Envoy sets the header for callers with private addresses",
                        after="Envoy does not set it: the match decides another way",
                        keep=(f"set the runtime guard {GUARD}: false in a bootstrap layer",),
                        verify="a request from a pod takes the rule you expect",
                    )
    gateways = [gateway for gateway in joined.gateways if joined.listeners_of(gateway)]
    if gateways and not certain:
        yield change(
            snapshot,
            gateways[0].at(),
            f"callers in the cluster of {len(gateways)} Gateway(s) no longer count as internal",
            today="private addresses are internal: x-envoy- headers and x-request-id are kept",
            after="x-envoy- headers are stripped, x-request-id is made anew",
            keep=(f"set the runtime guard {GUARD}: false in a bootstrap layer",),
            verify="a request from a pod with x-request-id keeps or loses it as you expect",
            severity=Severity.INFO,
            possible="certain if callers in the cluster send or expect x-envoy- headers",
        )
