"""Alerts about global rate limiting: limits that are not enforced."""

from __future__ import annotations

from egops.monitoring.catalogue import Alert, Group


def _asked(answer: str) -> str:
    return (
        "sum by (namespace, envoy_cluster_name) "
        f"(rate(envoy_cluster_ratelimit_{answer}{{<match>}}[5m]))"
    )


_UNCHECKED = _asked("failure_mode_allowed")


def _checked(answer: str) -> str:
    """Return a term that is 0 while the counter, which the first such answer makes, is missing."""
    return f"\n + ({_asked(answer)} or {_UNCHECKED} * 0)"


RATE_LIMIT = Group(
    name="egops-ratelimit",
    rules=(
        Alert(
            name="EnvoyRateLimitFailOpen",
            # a busy service is late now and then: what counts is the share that passes unchecked
            expr=(
                f"{_UNCHECKED}\n/\n({_UNCHECKED}{_checked('ok')}{_checked('over_limit')})\n"
                "> <ratelimit.unchecked_share>"
            ),
            hold="10m",
            severity="warning",
            summary="Rate limits are not enforced",
            description=(
                "{{ $value | humanizePercentage }} of the requests to "
                "{{ $labels.envoy_cluster_name }} pass unchecked because the rate limit service "
                "does not answer in time."
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
