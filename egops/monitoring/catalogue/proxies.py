"""Alerts about what users notice: errors, missing backends, full breakers, overload."""

from __future__ import annotations

from egops.monitoring.catalogue import Alert, Group, Record

GATEWAY = (
    "namespace, gateway_envoyproxy_io_owning_gateway_namespace, "
    "gateway_envoyproxy_io_owning_gateway_name"
)
WINDOWS = ("5m", "30m", "1h", "6h")
# the readiness and stats listeners are Envoy Gateway's own
_HTTP = 'envoy_http_conn_manager_prefix=~"https?-.+",<match>'
_ROUTES = 'envoy_cluster_name!~"<internal_clusters>",<match>'


def _ratio(window: str) -> Record:
    return Record(
        name=f"gateway:envoy_http_downstream_rq_5xx:ratio_rate{window}",
        expr=(
            f"sum by ({GATEWAY}) (rate(envoy_http_downstream_rq_xx"
            f'{{envoy_response_code_class="5",{_HTTP}}}[{window}]))\n'
            "/\n"
            f"(sum by ({GATEWAY}) (rate(envoy_http_downstream_rq_xx{{{_HTTP}}}[{window}])) > 0)"
        ),
    )


def _burn(window: str) -> Record:
    return Record(
        name=f"gateway:envoy_http_error_budget:burn_rate{window}",
        expr=f"gateway:envoy_http_downstream_rq_5xx:ratio_rate{window} / <slo.budget>",
    )


def _failed(window: str) -> Record:
    return Record(
        name=f"gateway:envoy_http_downstream_rq_5xx:increase{window}",
        expr=(
            f"sum by ({GATEWAY}) (increase(envoy_http_downstream_rq_xx"
            f'{{envoy_response_code_class="5",{_HTTP}}}[{window}]))'
        ),
    )


def _burning(long: str, short: str, factor: str) -> str:
    """Return an expression for "both windows burn too fast, and it is more than a few requests".

    At night three requests of four may fail and mean nothing: what counts is how many users saw it.
    """
    terms = [
        f"(gateway:envoy_http_error_budget:burn_rate{window} > <{factor}>)"
        for window in (long, short)
    ]
    terms.append(f"(gateway:envoy_http_downstream_rq_5xx:increase{long} >= <slo.min_errors>)")
    return "\nand\n".join(terms)


SLO = Group(
    name="egops-slo",
    rules=(
        *(_ratio(window) for window in WINDOWS),
        *(_burn(window) for window in WINDOWS),
        *(_failed(window) for window in ("1h", "6h")),
        Alert(
            name="EnvoyProxyErrorBudgetBurnFast",
            expr=_burning("1h", "5m", "slo.fast_burn"),
            hold="2m",
            severity="critical",
            summary="Users get errors at a rate that spends the error budget in two days",
            description=(
                "In namespace {{ $labels.namespace }}"
                "{{ with $labels.gateway_envoyproxy_io_owning_gateway_name }}, Gateway {{ . }}"
                "{{ end }}, the error budget is spent {{ $value | humanize }} times as fast as the "
                "objective of <slo.availability> % allows."
            ),
            code="EGD-650",
            default=True,
        ),
        Alert(
            name="EnvoyProxyErrorBudgetBurnSlow",
            expr=_burning("6h", "30m", "slo.slow_burn"),
            hold="15m",
            severity="warning",
            summary="Users get errors at a rate that spends the error budget in five days",
            description=(
                "In namespace {{ $labels.namespace }}"
                "{{ with $labels.gateway_envoyproxy_io_owning_gateway_name }}, Gateway {{ . }}"
                "{{ end }}, the error budget is spent {{ $value | humanize }} times as fast as the "
                "objective of <slo.availability> % allows."
            ),
            code="EGD-650",
        ),
    ),
)

PROXIES = Group(
    name="egops-proxies",
    rules=(
        Alert(
            name="EnvoyProxyNoHealthyUpstream",
            expr=(
                "(max by (namespace, pod, envoy_cluster_name) "
                f"(envoy_cluster_membership_healthy{{{_ROUTES}}}) == 0)\n"
                "and\n"
                "(max by (namespace, pod, envoy_cluster_name) "
                f"(envoy_cluster_membership_total{{{_ROUTES}}}) > 0)"
            ),
            hold="5m",
            severity="critical",
            summary="A route has no healthy endpoint",
            description=(
                "{{ $labels.envoy_cluster_name }} has endpoints, and none is healthy as seen by "
                "{{ $labels.namespace }}/{{ $labels.pod }}: its requests are answered with 503."
            ),
            code="EGD-310",
            default=True,
        ),
        Alert(
            name="EnvoyProxyCircuitBreakerOpen",
            # 1.7 moved the priority from the name to a label; a gauge needs no range function
            expr=(
                "max by (namespace, pod, envoy_cluster_name, breaker) (label_replace("
                '{__name__=~"envoy_cluster_circuit_breakers_(default_)?(cx|rq|rq_pending|rq_retry)'
                f'_open",priority!="high",{_ROUTES}}}, "breaker", "$1", "__name__", '
                '"envoy_cluster_circuit_breakers_(?:default_)?(.+)_open")) == 1'
            ),
            hold="5m",
            severity="warning",
            summary="A circuit breaker is open",
            description=(
                "The breaker for {{ $labels.breaker }} of {{ $labels.envoy_cluster_name }} is open "
                "on {{ $labels.namespace }}/{{ $labels.pod }}: requests are refused with 503 UO."
            ),
            code="EGD-506",
        ),
        Alert(
            name="EnvoyProxyOverloaded",
            expr=(
                "max by (namespace, pod) "
                "(envoy_overload_envoy_overload_actions_stop_accepting_requests_active{<match>}) "
                "== 1"
            ),
            hold="2m",
            severity="critical",
            summary="An Envoy refuses requests to save its memory",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} is at 98 % of its heap and answers 503."
            ),
            code="EGD-519",
            needs="a memory limit on the envoy container",
        ),
    ),
)
