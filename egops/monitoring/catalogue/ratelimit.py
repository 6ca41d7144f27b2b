"""Alerts about global rate limiting: limits that are not enforced."""

from __future__ import annotations

from egops.monitoring.catalogue import Alert, Group

RATE_LIMIT = Group(
    name="egops-ratelimit",
    rules=(
        Alert(
            name="EnvoyRateLimitFailOpen",
            expr=(
                "sum by (namespace, envoy_cluster_name) "
                "(rate(envoy_cluster_ratelimit_failure_mode_allowed{<match>}[5m])) > 0"
            ),
            hold="10m",
            severity="warning",
            summary="Rate limits are not enforced",
            description=(
                "Requests to {{ $labels.envoy_cluster_name }} pass unchecked because the rate "
                "limit service does not answer."
            ),
            code="EGD-574",
            default=True,
            needs="global rate limiting",
        ),
        Alert(
            name="EnvoyRateLimitRedisErrors",
            # when Redis is gone for good, Envoys give up before the service does, and it counts no
            # more errors: then the empty pool tells
            expr=(
                "(sum by (namespace) (rate(ratelimit_service_should_rate_limit_error"
                '{err_type="redis_error",<match>}[5m])) > 0)\n'
                "or\n"
                "(sum by (namespace) (ratelimit_redis_pool_cx_active{<match>}) == 0)"
            ),
            hold="5m",
            severity="warning",
            summary="The rate limit service cannot use Redis",
            description=(
                "The rate limit service in namespace {{ $labels.namespace }} gets errors from "
                "Redis, or has no connection to it, and stays Ready; by default requests pass "
                "unchecked."
            ),
            code="EGD-574",
            needs="global rate limiting",
        ),
    ),
)
