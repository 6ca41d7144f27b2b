"""Proxies and SLO: do users get good answers, fast, and which route is to blame if not?"""

from __future__ import annotations

from egops.monitoring.values import SETTINGS
from tools.boards.layout import (
    BLUE,
    GATEWAY_LABEL,
    GREEN,
    ORANGE,
    RATE,
    RED,
    YELLOW,
    Annotation,
    Board,
    Query,
    Variable,
    bars,
    graph,
    rate_by,
    stat_panel,
    table_panel,
    timeline,
)

R = RATE
S = f'job=~"$job", namespace=~"$namespace", pod=~"$pod", {GATEWAY_LABEL}=~"$gateway"'
# connection managers of Gateways only: the readiness and stats listeners are Envoy Gateway's own
HTTP = f'envoy_http_conn_manager_prefix=~"https?-.+", {S}'
INTERNAL = SETTINGS["internal_clusters"].default
ROUTE = f'envoy_cluster_name=~"$route", envoy_cluster_name!~"{INTERNAL}", {S}'
ZERO_IS_GOOD = [(None, GREEN), (0.000001, RED)]
SLO = f'namespace=~"$namespace", {GATEWAY_LABEL}=~"$gateway"'
CLASS_5 = 'envoy_response_code_class="5"'
BUDGET_STEPS = [(None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED)]


def _quantile(share: float, metric: str, selector: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}{{{selector}}}{R})))"


def _burn(window: str) -> Query:
    gateway = f"{{{{namespace}}}} {{{{{GATEWAY_LABEL}}}}} {window}"
    return Query(f"gateway:envoy_http_error_budget:burn_rate{window}{{{SLO}}}", gateway)


USERS = [
    stat_panel(
        "Requests",
        "Requests to the listeners of Gateways, without Envoy Gateway's own readiness and stats "
        "listeners.",
        Query(f"sum(rate(envoy_http_downstream_rq_total{{{HTTP}}}{R}))", "requests"),
        unit="reqps",
        no_value="no traffic yet",
    ),
    stat_panel(
        "Answers that were 5xx",
        "Share of 5xx answers to clients. Red above the default objective of 99.9 %: look at the "
        "routes below, then `egops doctor` and Envoy's response flags in the access log.",
        Query(
            f"(sum(rate(envoy_http_downstream_rq_xx{{{CLASS_5}, {HTTP}}}{R})) or vector(0)) / "
            f"(sum(rate(envoy_http_downstream_rq_xx{{{HTTP}}}{R})) > 0)",
            "5xx",
        ),
        unit="percentunit",
        steps=[(None, GREEN), (0.0005, YELLOW), (0.001, RED)],
        no_value="no traffic yet",
        runbook="EnvoyProxyErrorBudgetBurnFast",
    ),
    stat_panel(
        "Availability in this range",
        "Share of requests that were not answered with a 5xx, over the whole time range shown.",
        Query(
            "1 - (sum(increase(envoy_http_downstream_rq_xx"
            f"{{{CLASS_5}, {HTTP}}}[$__range])) or vector(0)) / "
            f"(sum(increase(envoy_http_downstream_rq_xx{{{HTTP}}}[$__range])) > 0)",
            "availability",
        ),
        unit="percentunit",
        decimals=3,
        steps=[(None, RED), (0.999, YELLOW), (0.9995, GREEN)],
        no_value="no traffic yet",
        runbook="EnvoyProxyErrorBudgetBurnSlow",
    ),
    stat_panel(
        "Latency p99",
        "Time from the first byte of the request to the last of the answer, backend included.",
        Query(_quantile(0.99, "envoy_http_downstream_rq_time_bucket", HTTP), "p99"),
        unit="ms",
        steps=[(None, GREEN), (1000, YELLOW), (5000, RED)],
        no_value="no traffic yet",
    ),
    stat_panel(
        "Connections",
        "Open client connections. Envoy Gateway caps each proxy at 50 000.",
        Query(f"sum(envoy_http_downstream_cx_active{{{HTTP}}})", "open"),
        unit="none",
        no_value="no traffic yet",
    ),
    stat_panel(
        "Proxies",
        "Envoys that are scraped and live. Compare with the Deployment's replicas.",
        Query(f"sum(envoy_server_live{{{S}}})", "live"),
        unit="none",
        steps=[(None, RED), (1, GREEN)],
        no_value="no Envoy is scraped",
        runbook="EnvoyProxyStuckInitializing",
    ),
    graph(
        "Requests by listener",
        "`http-10080` is the listener on port 80, `https-10443` the one on 443: Envoy Gateway adds "
        "10000 to ports below 1024.",
        rate_by(
            "envoy_http_conn_manager_prefix",
            "envoy_http_downstream_rq_total",
            HTTP,
            "{{envoy_http_conn_manager_prefix}}",
        ),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Answers by class",
        "4xx are usually the client's or a missing route (404 `route_not_found`); 5xx are ours or "
        "the backend's.",
        rate_by(
            "envoy_response_code_class",
            "envoy_http_downstream_rq_xx",
            HTTP,
            "{{envoy_response_code_class}}xx",
        ),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Latency",
        "Client's view. Compare with the latency of backends below: the difference is Envoy, its "
        "filters and the network to the client.",
        Query(_quantile(0.5, "envoy_http_downstream_rq_time_bucket", HTTP), "p50"),
        Query(_quantile(0.9, "envoy_http_downstream_rq_time_bucket", HTTP), "p90"),
        Query(_quantile(0.99, "envoy_http_downstream_rq_time_bucket", HTTP), "p99"),
        unit="ms",
    ),
]

BUDGET = [
    graph(
        "Burn rate of the error budget",
        "1 spends the budget exactly in the SLO period; above 14.4 (1 h and 5 m) a fast burn is "
        "paged, above 6 (6 h and 30 m) a slow one is a ticket. Needs egops' recording rules: "
        "`egops alerts install`.",
        _burn("5m"),
        _burn("1h"),
        _burn("6h"),
        unit="none",
        steps=BUDGET_STEPS,
        width=12,
        no_value="no recording rules, or no traffic",
        runbook="EnvoyProxyErrorBudgetBurnFast",
    ),
    graph(
        "5xx share by Gateway",
        "From the recording rules, 5 m and 1 h. Needs `egops alerts install`.",
        Query(
            f"gateway:envoy_http_downstream_rq_5xx:ratio_rate5m{{{SLO}}}",
            f"{{{{namespace}}}} {{{{{GATEWAY_LABEL}}}}} 5m",
        ),
        Query(
            f"gateway:envoy_http_downstream_rq_5xx:ratio_rate1h{{{SLO}}}",
            f"{{{{namespace}}}} {{{{{GATEWAY_LABEL}}}}} 1h",
        ),
        unit="percentunit",
        steps=[(None, GREEN), (0.001, RED)],
        width=12,
        no_value="no recording rules, or no traffic",
        runbook="EnvoyProxyErrorBudgetBurnSlow",
    ),
]

BLAME = [
    table_panel(
        "Routes by 5xx from backends",
        "Answers with 5xx from upstream, by xDS cluster (`httproute/<namespace>/<name>/rule/<n>`), "
        "worst first. The name is the route to look at: `egops routes explain`.",
        Query(
            "topk(20, sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_xx"
            f"{{{CLASS_5}, {ROUTE}}}{R})) > 0)"
        ),
        unit="reqps",
        columns={"Value": "5xx/s", "envoy_cluster_name": "Route"},
        steps=[(None, RED)],
        no_value="no 5xx",
        width=12,
        height=8,
        runbook="EnvoyProxyErrorBudgetBurnFast",
    ),
    graph(
        "5xx share by route",
        "Share of a route's upstream answers that are 5xx.",
        Query(
            "sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_xx"
            f"{{{CLASS_5}, {ROUTE}}}{R})) / (sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_upstream_rq_xx{{{ROUTE}}}{R})) > 0) > 0",
            "{{envoy_cluster_name}}",
        ),
        unit="percentunit",
        steps=[(None, GREEN), (0.01, RED)],
        no_value="no 5xx",
        width=12,
        height=8,
    ),
    graph(
        "Requests by route",
        "Where traffic goes. A route that falls to zero while others do not has lost its match: "
        "`egops routes explain`.",
        Query(
            f"topk(20, sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_total{{{ROUTE}}}"
            f"{R})))",
            "{{envoy_cluster_name}}",
        ),
        unit="reqps",
    ),
    graph(
        "Latency of backends, p99, by route",
        "Time to the backend's complete answer. One route rising: that backend. All rising: the "
        "proxies' CPU or the network.",
        Query(
            f"topk(20, {_quantile(0.99, 'envoy_cluster_upstream_rq_time_bucket', ROUTE, 'envoy_cluster_name')})",
            "{{envoy_cluster_name}}",
        ),
        unit="ms",
    ),
    graph(
        "Retries and timeouts by route",
        "Retries hide errors until they cannot; timeouts become 504. Envoy's own default timeout "
        "is 15 s.",
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_upstream_rq_retry{{{ROUTE}}}{R})) > 0",
            "retry {{envoy_cluster_name}}",
        ),
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_upstream_rq_timeout{{{ROUTE}}}{R})) > 0",
            "timeout {{envoy_cluster_name}}",
        ),
        unit="reqps",
        no_value="none",
    ),
]

BACKENDS = [
    table_panel(
        "Routes without a healthy endpoint",
        "Clusters that have endpoints, none of them healthy: every request gets a 503. Look at the "
        "backend's health checks and outlier detection: `egops doctor --only EGD-310`.",
        Query(
            f"max by (namespace, pod, envoy_cluster_name) (envoy_cluster_membership_healthy{{{ROUTE}}}"
            f" == 0 and envoy_cluster_membership_total{{{ROUTE}}} > 0)"
        ),
        unit="none",
        columns={"Value": "Healthy", "envoy_cluster_name": "Route"},
        steps=[(None, RED)],
        no_value="all have one",
        width=12,
        runbook="EnvoyProxyNoHealthyUpstream",
    ),
    graph(
        "Healthy endpoints, lowest share by route",
        "Healthy endpoints as a share of all, on the proxy that sees it worst. Below 50 % Envoy "
        "panics and sends to unhealthy ones too.",
        Query(
            "min by (envoy_cluster_name) (envoy_cluster_membership_healthy"
            f"{{{ROUTE}}} / (envoy_cluster_membership_total{{{ROUTE}}} > 0))",
            "{{envoy_cluster_name}}",
        ),
        unit="percentunit",
        steps=[(None, RED), (0.5, YELLOW), (1, GREEN)],
        width=12,
        runbook="EnvoyProxyNoHealthyUpstream",
    ),
    timeline(
        "Circuit breakers open",
        "Requests are refused while a breaker is open (503 with flag UO). The default is 1024 "
        "connections, pending and parallel requests per proxy: raise it in a BackendTrafficPolicy "
        "or scale the backend. Envoy Gateway 1.7 renamed the metric; both are asked for.",
        Query(
            "max by (envoy_cluster_name) "
            '({__name__=~"envoy_cluster_circuit_breakers_(default_)?(cx|cx_pool|rq|rq_pending|rq_retry)'
            f'_open", priority!="high", {ROUTE}}})',
            "{{envoy_cluster_name}}",
        ),
        unit="none",
        mappings={"0": ("closed", GREEN), "1": ("open", RED)},
        width=12,
        runbook="EnvoyProxyCircuitBreakerOpen",
    ),
    graph(
        "Requests refused for overflow",
        "Requests and connections refused because a breaker was open. Envoy 1.39 counts requests "
        "over the parallel limit apart; before, they are among the pending ones.",
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_upstream_rq_pending_overflow{{{ROUTE}}}{R})) > 0",
            "pending {{envoy_cluster_name}}",
        ),
        Query(
            f"sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_cx_overflow{{{ROUTE}}}{R})) > 0",
            "connections {{envoy_cluster_name}}",
        ),
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_upstream_rq_active_overflow{{{ROUTE}}}{R})) > 0",
            "parallel {{envoy_cluster_name}}",
        ),
        unit="reqps",
        steps=ZERO_IS_GOOD,
        no_value="none",
        width=12,
        runbook="EnvoyProxyCircuitBreakerOpen",
    ),
    graph(
        "Connections to backends that failed",
        "Refused or timed out connections. One route: that backend. All: network or node.",
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_upstream_cx_connect_fail{{{ROUTE}}}{R})) > 0",
            "{{envoy_cluster_name}}",
        ),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="none",
    ),
    graph(
        "Endpoints ejected",
        "Endpoints that outlier detection has taken out. Empty when no policy uses it.",
        Query(
            "sum by (envoy_cluster_name) "
            f"(envoy_cluster_outlier_detection_ejections_active{{{ROUTE}}})",
            "{{envoy_cluster_name}}",
        ),
        steps=[(None, GREEN), (1, YELLOW)],
        no_value="outlier detection is not used",
    ),
    graph(
        "TLS errors to backends",
        "Handshakes with backends that failed or did not verify: a BackendTLSPolicy with the wrong "
        "CA or hostname, or a plaintext port. `egops doctor --only EGD-415,EGD-504`.",
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_ssl_connection_error{{{ROUTE}}}{R})) > 0",
            "handshake {{envoy_cluster_name}}",
        ),
        Query(
            "sum by (envoy_cluster_name) "
            f"(rate(envoy_cluster_ssl_fail_verify_error{{{ROUTE}}}{R})) > 0",
            "verify {{envoy_cluster_name}}",
        ),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="none",
    ),
]

LISTENERS = [
    graph(
        "Client connections",
        "Open connections by listener. Near 50 000 per proxy Envoy refuses more.",
        Query(
            f"sum by (envoy_http_conn_manager_prefix) (envoy_http_downstream_cx_active{{{HTTP}}})",
            "{{envoy_http_conn_manager_prefix}}",
        ),
    ),
    graph(
        "TLS errors by listener",
        "Handshakes that failed: old clients, a missing client certificate, an unknown server "
        "name.",
        rate_by(
            "envoy_listener_address",
            "envoy_listener_ssl_connection_error",
            S,
            "{{envoy_listener_address}}",
        ),
        rate_by(
            "envoy_listener_address",
            "envoy_listener_ssl_fail_verify_error",
            S,
            "client certificate {{envoy_listener_address}}",
        ),
        unit="ops",
        steps=[(None, GREEN), (1, YELLOW)],
    ),
    graph(
        "Connections refused or reset",
        "Over the listener's limit, no filter chain for the server name, requests reset by the "
        "client.",
        rate_by("pod", "envoy_listener_downstream_cx_overflow", S, "overflow {{pod}}"),
        rate_by("pod", "envoy_listener_no_filter_chain_match", S, "no filter chain {{pod}}"),
        rate_by("pod", "envoy_http_downstream_rq_rx_reset", HTTP, "reset {{pod}}"),
        unit="ops",
    ),
]

CAPACITY = [
    timeline(
        "Overload actions",
        "Active when Envoy protects itself: at 95 % of its heap it shrinks, at 98 % it refuses "
        "requests. Exists only when the envoy container has a memory limit.",
        Query(
            "max by (namespace, pod) "
            f"(envoy_overload_envoy_overload_actions_stop_accepting_requests_active{{{S}}})",
            "refuses {{pod}}",
        ),
        Query(
            "max by (namespace, pod) "
            f"(envoy_overload_envoy_overload_actions_shrink_heap_active{{{S}}})",
            "shrinks {{pod}}",
        ),
        unit="none",
        mappings={"0": ("calm", GREEN), "1": ("active", RED)},
        no_value="no memory limit, so no protection",
        width=12,
        runbook="EnvoyProxyOverloaded",
    ),
    bars(
        "Heap pressure",
        "Heap as a share of what the overload manager allows. Above 90 %: raise the limit, cut "
        "statistics or connections.",
        Query(
            f"max by (pod) (envoy_overload_envoy_resource_monitors_fixed_heap_pressure{{{S}}})",
            "{{pod}}",
        ),
        unit="percent",
        maximum=100,
        steps=[(None, GREEN), (80, YELLOW), (95, RED)],
        no_value="no memory limit",
        width=12,
        runbook="EnvoyProxyOverloaded",
    ),
    graph(
        "Memory of proxies",
        "Physical memory of Envoy, with the container's limit where kube-state-metrics knows it.",
        Query(f"sum by (pod) (envoy_server_memory_physical_size{{{S}}})", "{{pod}}"),
        Query(
            'max by (pod) (kube_pod_container_resource_limits{namespace=~"$namespace", '
            'pod=~"$pod", container="envoy", resource="memory"})',
            "limit {{pod}}",
        ),
        unit="bytes",
        runbook="EnvoyProxyOverloaded",
    ),
    graph(
        "CPU of proxies",
        "Cores used by the envoy container, from cAdvisor. At its limit Envoy is throttled and "
        "latency rises first.",
        rate_by(
            "pod",
            "container_cpu_usage_seconds_total",
            'namespace=~"$namespace", pod=~"$pod", container="envoy"',
            "{{pod}}",
        ),
        rate_by(
            "pod",
            "container_cpu_cfs_throttled_seconds_total",
            'namespace=~"$namespace", pod=~"$pod", container="envoy"',
            "throttled {{pod}}",
        ),
        no_value="no cAdvisor",
    ),
    timeline(
        "Live, draining, starting",
        "A pod that drains without being deleted answers nothing: `egops doctor --only EGD-454`.",
        Query(f"max by (namespace, pod) (envoy_server_state{{{S}}})", "{{pod}}"),
        unit="none",
        mappings={
            "0": ("live", GREEN),
            "1": ("draining", YELLOW),
            "2": ("pre-initializing", ORANGE),
            "3": ("initializing", BLUE),
        },
        runbook="EnvoyProxyStuckInitializing",
    ),
]

BOARD = Board(
    uid="egops-proxies",
    title="Envoy Gateway / Proxies and SLO",
    description="Do users get good answers, fast, and which route is to blame if not?",
    variables=[
        Variable("job", "Job", "label_values(envoy_server_live, job)"),
        Variable(
            "namespace",
            "Namespace",
            'label_values(envoy_server_live{job=~"$job"}, namespace)',
            description="Namespaces in which Envoys run",
        ),
        Variable(
            "gateway",
            "Gateway",
            'label_values(envoy_server_live{job=~"$job", namespace=~"$namespace"}, '
            f"{GATEWAY_LABEL})",
            all_value=".*",
            description="Empty when the scrape does not copy pod labels (podTargetLabels)",
        ),
        Variable(
            "pod",
            "Pod",
            'label_values(envoy_server_live{job=~"$job", namespace=~"$namespace"}, pod)',
        ),
        Variable(
            "route",
            "Route",
            'label_values(envoy_cluster_upstream_rq_total{job=~"$job", namespace=~"$namespace", '
            f'envoy_cluster_name!~"{INTERNAL}"}}, envoy_cluster_name)',
            # names are the user's to change (clusterStatName), so nothing is wired to a pattern
            all_value=".+",
            description="xDS clusters, named after the rule of a route",
        ),
    ],
    annotations=[
        Annotation(
            "Proxy rollouts",
            "sum by (deployment) (changes(kube_deployment_metadata_generation"
            '{namespace=~"$namespace", deployment=~"envoy-.+"}[$__rate_interval])) > 0',
            YELLOW,
        ),
        Annotation(
            "Config pushes",
            f"sum(increase(envoy_listener_manager_lds_update_success{{{S}}}{R})) > 0",
            GREEN,
            enabled=False,
        ),
        Annotation(
            "Certificate rotations",
            "sum by (pod) (increase(envoy_listener_server_ssl_socket_factory_ssl_context_update_by_sds"
            f"{{{S}}}{R})) > 0",
            ORANGE,
        ),
    ],
    rows=[
        ("Do users get good answers?", USERS),
        ("How fast is the error budget spent?", BUDGET),
        ("Which route is to blame?", BLAME),
        ("Are the backends there?", BACKENDS),
        ("Do clients get in?", LISTENERS),
        ("Have the proxies enough?", CAPACITY),
    ],
)
