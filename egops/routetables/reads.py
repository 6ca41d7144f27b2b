"""The kinds of objects that decide what Envoy Gateway makes of routes."""

from __future__ import annotations

from egops import gatewayapi as api

READS = frozenset(
    {
        *api.ROUTE_KINDS,
        api.BACKEND,
        api.BACKEND_TRAFFIC_POLICY,
        api.CLIENT_TRAFFIC_POLICY,
        api.ENVOY_EXTENSION_POLICY,
        api.ENVOY_PATCH_POLICY,
        api.ENVOY_PROXY,
        api.GATEWAY,
        api.GATEWAY_CLASS,
        api.HTTP_ROUTE_FILTER,
        api.LISTENER_SET,
        api.NAMESPACE,
        api.REFERENCE_GRANT,
        api.SECURITY_POLICY,
        api.SERVICE,
        api.SERVICE_IMPORT,
        api.X_LISTENER_SET,
    }
)
