"""EGU-1703 override-runs-first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    ENVOY_PROXY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    SECURITY_POLICY,
)
from egops.rules import rule
from egops.snapshot import entries, items, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot
    from egops.upgrade.world import World


FILTERS = {"rateLimit", "faultInjection", "requestBuffer", "compression", "compressor"}


@rule(
    code="EGU-1703",
    severity=Severity.WARNING,
    reads=(BACKEND_TRAFFIC_POLICY,),
    optional=(
        *ROUTES,
        ENVOY_PROXY,
        SECURITY_POLICY,
        ENVOY_EXTENSION_POLICY,
    ),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no policy overrides responses, or the order of filters is set",
)
def override_runs_first(snapshot: Snapshot) -> Iterator[Problem]:
    """The filter that overrides responses is the first of the chain from 1.7 on.

    ## Why it matters
    It stood at the end and saw what the backend answers. Now it also sees what other filters
    answer, such as a refusal by authorization or a rate limit, and overrides that too.

    ## How to fix it
    Try the routes. `filterOrder` of the EnvoyProxy puts `envoy.filters.http.custom_response`
    elsewhere.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    others = [
        *joined.in_use(SECURITY_POLICY),
        *joined.in_use(ENVOY_EXTENSION_POLICY),
        *(p for p, _ in joined.in_use(BACKEND_TRAFFIC_POLICY) if set(p.spec) & FILTERS),
    ]
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        routes = [found for found in used if found.route.kind in (HTTP_ROUTE, GRPC_ROUTE)]
        if not entries(policy.spec, "responseOverride") or (joined.is_whole and not routes):
            continue
        gateways = [gateway for found in routes for gateway in found.gateways]
        if gateways and all(_is_ordered(joined, gateway) for gateway in gateways):
            continue
        yield change(
            snapshot,
            policy.at("spec", "responseOverride"),
            "overrides also meet the answers of other filters",
            today="the filter custom_response stands before the router",
            after="it is the first filter: local replies of the others pass it",
            keep=("set filterOrder in the EnvoyProxy if the order matters",),
            verify="http_filters of the listener in /config_dump",
            possible="certain if another filter answers with a status that is overridden",
            severity=None if others else Severity.INFO,
        )


def _is_ordered(joined: World, gateway: Resource) -> bool:
    proxy = joined.proxy_of(gateway)
    return proxy is not None and any(
        text(entry, "name") == "envoy.filters.http.custom_response"
        for _, entry in items(proxy.spec, "filterOrder")
    )
