"""EGU-1329 response-override-moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    ENVOY_PROXY,
    GRPC_ROUTE,
    HTTP_ROUTE,
)
from egops.rules import rule
from egops.snapshot import entries
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.world import ROUTES, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot
    from egops.upgrade.world import Attachment


@rule(
    code="EGU-1329",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY, ENVOY_PROXY),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/blob/v1.3.0/internal/xds/translator/httpfilters.go",
    ok="no policy overrides responses",
)
def response_override_moves(snapshot: Snapshot) -> Iterator[Problem]:
    """The filter that overrides responses moves behind the others.

    ## Why it matters
    It stood between external processing and Wasm and stands right before the router now. Response
    processing of Wasm and rate limits sees overridden bodies that it did not see, or the other way.

    ## How to fix it
    Try the routes that have both; `filterOrder` of the EnvoyProxy puts the filter elsewhere.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        routes = [found for found in used if found.route.kind in (HTTP_ROUTE, GRPC_ROUTE)]
        if not entries(policy.spec, "responseOverride") or (joined.is_whole and not routes):
            continue
        others = sorted({name for found in routes for name in _others(joined, found)})
        yield change(
            snapshot,
            policy.at("spec", "responseOverride"),
            "overridden responses are made at another place of the filter chain",
            evidence=tuple(f"together with {name}" for name in others),
            today="between external processing and Wasm",
            after="right before compressor and router",
            keep=("try the routes; set filterOrder in the EnvoyProxy if the order matters",),
            verify="http_filters of the listener in /config_dump",
            possible="certain if a filter between the two places works on responses",
        )


def _others(joined: World, attachment: Attachment) -> Iterator[str]:
    for policy in joined.route_policies(ENVOY_EXTENSION_POLICY, attachment):
        yield f"EnvoyExtensionPolicy {policy.namespace}/{policy.name}"
    for gateway in attachment.gateways:
        proxy = joined.proxy_of(gateway)
        if proxy is not None and entries(proxy.spec, "filterOrder"):
            yield f"filterOrder of EnvoyProxy {proxy.namespace}/{proxy.name}"
