"""Rate limiting: who is limited, are limits enforced, and is the service fast enough?"""

from __future__ import annotations

from tools.boards.layout import (
    BLUE,
    GREEN,
    RATE,
    RED,
    YELLOW,
    Annotation,
    Board,
    Query,
    Variable,
    graph,
    increase_by,
    note,
    rate_by,
    stat_panel,
    table_panel,
)

R = RATE
S = 'job=~"$job", namespace=~"$namespace", pod=~"$pod"'
# Envoys are other pods, perhaps in another namespace and job; the domain is not on their series
ENVOY = 'job=~"$job"'
DOMAIN = f'domain=~"$domain", {S}'
KSM = 'namespace=~"$namespace", container="envoy-ratelimit"'
ZERO_IS_GOOD = [(None, GREEN), (0.000001, RED)]
LINK = f'envoy_cluster_name="ratelimit_cluster", {ENVOY}'

ENFORCED = [
    stat_panel(
        "Requests asked about",
        "Requests for which an Envoy asked the rate limit service.",
        Query(f"sum(rate(ratelimit_service_total_requests{{{S}}}{R}))", "asked"),
        unit="reqps",
        no_value="not asked yet",
    ),
    stat_panel(
        "Over limit",
        "Share of hits that were over their limit and answered with 429.",
        Query(
            f"(sum(rate(ratelimit_service_rate_limit_over_limit{{{DOMAIN}}}{R})) or vector(0)) / "
            f"(sum(rate(ratelimit_service_rate_limit_total_hits{{{DOMAIN}}}{R})) > 0)",
            "over",
        ),
        unit="percentunit",
        steps=[(None, GREEN), (0.5, YELLOW)],
        no_value="no hits yet",
    ),
    stat_panel(
        "Let through unchecked",
        "Requests that were let through because the service did not answer. Above zero **limits "
        "are not enforced**: `egops doctor --only EGD-574`. Envoy counts this at once.",
        Query(
            f"(sum(rate(envoy_cluster_ratelimit_failure_mode_allowed{{{ENVOY}}}{R})) or vector(0)) "
            f"and on () count(envoy_server_live{{{ENVOY}}})",
            "unchecked",
        ),
        unit="reqps",
        steps=ZERO_IS_GOOD,
        no_value="no Envoy is scraped",
        runbook="EnvoyRateLimitFailOpen",
    ),
    stat_panel(
        "Redis errors",
        "Questions the service could not answer because of Redis. The pod stays Ready meanwhile. "
        "Once Redis is gone for good none are counted any more: look at its connections below.",
        Query(
            '(sum(rate(ratelimit_service_should_rate_limit_error{err_type="redis_error", '
            f"{S}}}{R})) or vector(0)) and on () "
            f"count(ratelimit_service_config_load_success{{{S}}})",
            "errors",
        ),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="the service is not scraped",
        runbook="EnvoyRateLimitRedisErrors",
    ),
    stat_panel(
        "Replicas",
        "Rate limit pods whose metrics arrive. Empty: global rate limiting is not configured, or "
        "the service is not scraped (port 19001, path `/metrics`).",
        Query(f"count(ratelimit_service_config_load_success{{{S}}})", "scraped"),
        unit="none",
        steps=[(None, RED), (1, GREEN)],
        no_value="none is scraped",
    ),
    stat_panel(
        "Locally limited",
        "Requests refused by local limits, which Envoy keeps by itself and each proxy for itself.",
        Query(f"sum(rate(envoy_http_local_rate_limit_rate_limited{{{ENVOY}}}{R}))", "limited"),
        unit="reqps",
        no_value="local limits are not used",
    ),
    graph(
        "What Envoys were told, by route",
        "Answers of the service as each route's Envoys counted them. `error` and `failure mode "
        "allowed` mean there was no answer.",
        rate_by(
            "envoy_cluster_name", "envoy_cluster_ratelimit_ok", ENVOY, "ok {{envoy_cluster_name}}"
        ),
        rate_by(
            "envoy_cluster_name",
            "envoy_cluster_ratelimit_over_limit",
            ENVOY,
            "over limit {{envoy_cluster_name}}",
        ),
        rate_by(
            "envoy_cluster_name",
            "envoy_cluster_ratelimit_error",
            ENVOY,
            "error {{envoy_cluster_name}}",
        ),
        unit="reqps",
        width=12,
        no_value="global limits are not used",
    ),
    graph(
        "Let through unchecked, by route",
        "Which routes are open while the service does not answer.",
        rate_by(
            "envoy_cluster_name",
            "envoy_cluster_ratelimit_failure_mode_allowed",
            ENVOY,
            "{{envoy_cluster_name}}",
        ),
        unit="reqps",
        steps=ZERO_IS_GOOD,
        width=12,
        no_value="none so far",
        runbook="EnvoyRateLimitFailOpen",
    ),
]

LIMITS = [
    graph(
        "Hits by domain",
        "A domain is a listener, such as `default/eg/http`. The service writes its counters every "
        "10 s, so they come late.",
        rate_by("domain", "ratelimit_service_rate_limit_total_hits", DOMAIN, "{{domain}}"),
        unit="reqps",
    ),
    graph(
        "Over limit by rule",
        "Hits over their limit, by route rule and descriptor.",
        rate_by(
            "domain, key1, key2",
            "ratelimit_service_rate_limit_over_limit",
            DOMAIN,
            "{{domain}} {{key1}} {{key2}}",
        ),
        unit="reqps",
        no_value="none so far",
    ),
    graph(
        "Near limit by rule",
        "Hits above 80 % of their limit: who will be limited next.",
        rate_by(
            "domain, key1, key2",
            "ratelimit_service_rate_limit_near_limit",
            DOMAIN,
            "{{domain}} {{key1}} {{key2}}",
        ),
        unit="reqps",
        no_value="none so far",
    ),
    table_panel(
        "Limits hit most, last hour",
        "Rules by hits over their limit. Decide whether the limit or the client is wrong.",
        Query(
            "topk(20, sum by (domain, key1, key2) "
            f"(increase(ratelimit_service_rate_limit_over_limit{{{DOMAIN}}}[1h])) > 0)"
        ),
        unit="none",
        decimals=0,
        width=24,
        columns={"Value": "Over limit", "key1": "Route rule", "key2": "Descriptor"},
        no_value="none in the last hour",
    ),
]

SERVICE = [
    note(
        "Milliseconds in a metric called seconds",
        "`ratelimit_service_response_time_seconds` holds **milliseconds** as Envoy Gateway runs the "
        "service; the panel divides by 1000. Answers below 1 ms count as 0. Envoy waits 20 ms by "
        "default and then lets the request through.",
        height=3,
    ),
    graph(
        "Time to answer",
        "Mean and p99 of the service. Near 20 ms Envoys give up and let requests through: look at "
        "Redis' latency first.",
        Query(
            "sum by (grpc_method) "
            f"(rate(ratelimit_service_response_time_seconds_sum{{{S}}}{R})) / "
            "(sum by (grpc_method) "
            f"(rate(ratelimit_service_response_time_seconds_count{{{S}}}{R})) > 0) / 1000",
            "mean {{grpc_method}}",
        ),
        Query(
            "histogram_quantile(0.99, sum by (le, grpc_method) "
            f"(rate(ratelimit_service_response_time_seconds_bucket{{{S}}}{R}))) / 1000",
            "p99 {{grpc_method}}",
        ),
        unit="s",
        steps=[(None, GREEN), (0.02, RED)],
        no_value="not asked yet",
    ),
    graph(
        "Errors by kind",
        "`redis_error`: Redis is down, slow, or refuses the password. `service_error`: a bad "
        "request or no configuration for the domain.",
        rate_by("err_type", "ratelimit_service_should_rate_limit_error", S, "{{err_type}}"),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="none so far",
        runbook="EnvoyRateLimitRedisErrors",
    ),
    graph(
        "Redis connections",
        "Open connections, and those closed by the service. None open: Redis is gone, and limits "
        "are not enforced.",
        Query(f"sum by (pod) (ratelimit_redis_pool_cx_active{{{S}}})", "open {{pod}}"),
        rate_by("pod", "ratelimit_redis_pool_cx_local_close", S, "closed/s {{pod}}"),
        runbook="EnvoyRateLimitRedisErrors",
    ),
    graph(
        "Configuration loads",
        "The service gets its limits from Envoy Gateway. A failure leaves the old limits in force.",
        increase_by("pod", "ratelimit_service_config_load_success", S, "loaded {{pod}}"),
        increase_by("pod", "ratelimit_service_config_load_error", S, "failed {{pod}}"),
    ),
    graph(
        "Restarts",
        "Container restarts of the service; while it is away requests pass unchecked. Needs "
        "kube-state-metrics.",
        increase_by("pod", "kube_pod_container_status_restarts_total", KSM, "{{pod}}"),
        steps=ZERO_IS_GOOD,
        no_value="no kube-state-metrics",
    ),
    graph(
        "TLS errors from Envoys to the service",
        "After a rotation of Envoy Gateway's certificates the service keeps its old CA until it is "
        "restarted: `egops doctor --only EGD-411`.",
        increase_by("pod", "envoy_cluster_ssl_connection_error", LINK, "handshake {{pod}}"),
        increase_by("pod", "envoy_cluster_ssl_fail_verify_error", LINK, "verify {{pod}}"),
        steps=ZERO_IS_GOOD,
        no_value="global limits are not used",
        runbook="EnvoyControlPlaneTlsVerifyFailing",
    ),
]

BOARD = Board(
    uid="egops-ratelimit",
    title="Envoy Gateway / Rate limiting",
    description="Who is limited, are limits enforced, and is the service fast enough?",
    variables=[
        Variable(
            "job",
            "Job",
            'label_values({__name__=~"ratelimit_service_config_load_success|envoy_server_live"}, job)',
            description="Jobs that scrape the rate limit service, and those that scrape Envoys",
        ),
        Variable(
            "namespace",
            "Namespace",
            'label_values(ratelimit_service_config_load_success{job=~"$job"}, namespace)',
            description="Namespaces in which a rate limit service runs",
        ),
        Variable(
            "pod",
            "Pod",
            "label_values(ratelimit_service_config_load_success"
            '{job=~"$job", namespace=~"$namespace"}, pod)',
        ),
        Variable(
            "domain",
            "Domain",
            "label_values(ratelimit_service_rate_limit_total_hits"
            '{job=~"$job", namespace=~"$namespace"}, domain)',
            description="Listeners with limits",
        ),
    ],
    annotations=[
        Annotation(
            "Rate limit service rollouts",
            "sum by (deployment) (changes(kube_deployment_metadata_generation"
            '{namespace=~"$namespace", deployment="envoy-ratelimit"}[$__rate_interval])) > 0',
            YELLOW,
        ),
        Annotation(
            "Limits loaded",
            f"sum(increase(ratelimit_service_config_load_success{{{S}}}{R})) > 0",
            BLUE,
            enabled=False,
        ),
    ],
    rows=[
        ("Are limits enforced?", ENFORCED),
        ("Who is limited?", LIMITS),
        ("Is the service well?", SERVICE),
    ],
)
