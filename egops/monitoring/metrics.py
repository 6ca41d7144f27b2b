"""Every metric that boards and alerts ask for: who exports it, since when, and when it is born.

A missing series has a true reason, and most reasons are in this table. `birth` is when a series
comes into the world: `always` with its process; otherwise the words say on which event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Source:
    """Who exports metrics: how to tell that it is scraped, and what to do if it is not.

    `otlp` is what tells that they come by way of an OpenTelemetry collector instead, which changes
    names and has no label for the pod.
    """

    name: str
    markers: tuple[str, ...]
    port: str
    fix: str
    otlp: str = ""


SOURCES = {
    source.name: source
    for source in (
        Source(
            "Envoy Gateway",
            ("watchable_depth", "watchable_subscribe_total"),
            "19001",
            "scrape port 19001, path /metrics, of the pods labelled control-plane=envoy-gateway",
            otlp="watchable_depth_ratio",
        ),
        Source(
            "Envoy",
            ("envoy_server_live",),
            "19001",
            "scrape port 19001, path /stats/prometheus, of the proxies (a PodMonitor, or the "
            "prometheus.io annotations)",
            otlp="server_live",
        ),
        Source(
            "the rate limit service",
            ("ratelimit_service_config_load_success", "ratelimit_go_numGoroutine"),
            "19001",
            "scrape port 19001, path /metrics, of the pods labelled "
            "app.kubernetes.io/component=ratelimit",
        ),
        Source(
            "kube-state-metrics",
            ("kube_pod_info", "kube_deployment_spec_replicas"),
            "8080",
            "install kube-state-metrics and scrape it",
        ),
        Source(
            "cAdvisor",
            ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"),
            "10250",
            "scrape the kubelets, path /metrics/cadvisor",
        ),
        Source("recording rules of egops", (), "", "load them: egops alerts install"),
        Source("egops certs check", (), "", "write its text file: egops certs check -o prometheus"),
    )
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its source, the release it came with and went with, and when it is born."""

    name: str
    source: Source
    birth: str = ALWAYS
    since: str = ""
    until: str = ""


_EG, _ENVOY, _RL = (SOURCES[n] for n in ("Envoy Gateway", "Envoy", "the rate limit service"))
_KSM, _CADVISOR = SOURCES["kube-state-metrics"], SOURCES["cAdvisor"]

_TRAFFIC = "the first request of a client"
_TLS_LISTENER = "a listener that terminates TLS"
_GLOBAL_LIMIT = "the first request of a route with a global limit"
_WASM = "a policy that uses Wasm"
_BACKEND = "the first request to that backend (1.8 and later create its statistics late)"

# name, source, birth, since, until
_TABLE: tuple[tuple[str, Source, str, str, str], ...] = (
    ("watchable_depth", _EG, ALWAYS, "0.6", ""),
    ("watchable_subscribe_total", _EG, ALWAYS, "1.1", ""),
    ("watchable_subscribe_duration_seconds_bucket", _EG, ALWAYS, "1.1", ""),
    ("watchable_panics_recovered_total", _EG, "the first recovered panic", "1.3", ""),
    ("watchable_publish_total", _EG, ALWAYS, "1.5", ""),
    ("watchable_event_total", _EG, ALWAYS, "1.8", ""),
    ("status_update_total", _EG, "the first status written", "1.1", ""),
    ("status_update_duration_seconds_bucket", _EG, "the first status written", "1.1", ""),
    ("resource_apply_total", _EG, "the first Gateway", "1.1", ""),
    ("resource_delete_total", _EG, "the first Gateway deleted", "1.1", ""),
    ("xds_snapshot_create_total", _EG, "the first Gateway", "1.1", ""),
    ("xds_snapshot_update_total", _EG, "the first snapshot handed to an Envoy", "1.1", ""),
    ("xds_stream_duration_seconds_count", _EG, "the first stream that ends", "1.1", ""),
    ("xds_nack_total", _EG, "the first rejected update", "1.9", ""),
    ("wasm_cache_entries", _EG, _WASM, "1.1", ""),
    ("wasm_cache_lookup_total", _EG, _WASM, "1.1", ""),
    ("wasm_remote_fetch_total", _EG, _WASM, "1.1", ""),
    ("leader_election_master_status", _EG, "leader election switched on", "", ""),
    ("controller_runtime_reconcile_total", _EG, ALWAYS, "", ""),
    ("controller_runtime_reconcile_errors_total", _EG, ALWAYS, "", ""),
    ("controller_runtime_reconcile_panics_total", _EG, ALWAYS, "", ""),
    ("controller_runtime_webhook_panics_total", _EG, ALWAYS, "", ""),
    ("workqueue_depth", _EG, ALWAYS, "1.4", ""),
    ("rest_client_requests_total", _EG, ALWAYS, "", ""),
    ("rest_client_rate_limiter_duration_seconds_bucket", _EG, ALWAYS, "1.4", ""),
    ("process_start_time_seconds", _EG, ALWAYS, "", ""),
    ("process_cpu_seconds_total", _EG, ALWAYS, "", ""),
    ("process_resident_memory_bytes", _EG, ALWAYS, "", ""),
    ("go_goroutines", _EG, ALWAYS, "", ""),
    ("go_gc_duration_seconds_sum", _EG, ALWAYS, "", ""),
    ("envoy_server_live", _ENVOY, ALWAYS, "", ""),
    ("envoy_server_state", _ENVOY, ALWAYS, "", ""),
    ("envoy_server_initialization_time_ms_sum", _ENVOY, ALWAYS, "", ""),
    ("envoy_server_memory_physical_size", _ENVOY, ALWAYS, "", ""),
    ("envoy_server_days_until_first_cert_expiring", _ENVOY, ALWAYS, "", ""),
    ("envoy_control_plane_connected_state", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_lds_update_rejected", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_lds_update_failure", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_lds_update_success", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_lds_init_fetch_timeout", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_listener_create_failure", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_total_listeners_active", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_total_listeners_warming", _ENVOY, ALWAYS, "", ""),
    ("envoy_listener_manager_total_listeners_draining", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_cds_update_rejected", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_cds_update_failure", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_cds_update_success", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_cds_init_fetch_timeout", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_cds_version", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_active_clusters", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_manager_warming_clusters", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_update_rejected", _ENVOY, "the first route with a backend", "", ""),
    ("envoy_http_rds_update_rejected", _ENVOY, "the first HTTP listener", "", ""),
    ("envoy_http_rds_update_failure", _ENVOY, "the first HTTP listener", "", ""),
    ("envoy_http_rds_init_fetch_timeout", _ENVOY, "the first HTTP listener", "", ""),
    (r"envoy_sds_(.+_)?update_rejected", _ENVOY, ALWAYS, "", ""),
    ("envoy_sds_key_rotation_failed", _ENVOY, ALWAYS, "1.4", ""),
    ("envoy_sds_xds_certificate_key_rotation_failed", _ENVOY, ALWAYS, "", "1.3"),
    ("envoy_sds_xds_trusted_ca_key_rotation_failed", _ENVOY, ALWAYS, "", "1.3"),
    ("envoy_cluster_ssl_connection_error", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_ssl_fail_verify_error", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_ssl_fail_verify_san", _ENVOY, ALWAYS, "", ""),
    ("envoy_cluster_upstream_cx_total", _ENVOY, ALWAYS, "", ""),
    (
        "envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds",
        _ENVOY, ALWAYS, "", "",
    ),
    (
        "envoy_cluster_client_ssl_socket_factory_upstream_context_secrets_not_ready",
        _ENVOY, ALWAYS, "", "",
    ),
    (
        "envoy_listener_server_ssl_socket_factory_ssl_context_update_by_sds",
        _ENVOY, _TLS_LISTENER, "", "",
    ),
    (
        "envoy_listener_server_ssl_socket_factory_downstream_context_secrets_not_ready",
        _ENVOY, _TLS_LISTENER, "", "",
    ),
    ("envoy_listener_ssl_certificate_expiration_unix_time_seconds", _ENVOY,
     f"{_TLS_LISTENER}, on an Envoy that has this metric (seen from 1.36 on)", "", ""),
    ("envoy_cluster_ssl_certificate_expiration_unix_time_seconds", _ENVOY,
     "an Envoy that has this metric (seen from 1.36 on)", "", ""),
    ("envoy_listener_ssl_handshake", _ENVOY, _TLS_LISTENER, "", ""),
    ("envoy_listener_ssl_connection_error", _ENVOY, _TLS_LISTENER, "", ""),
    ("envoy_listener_ssl_fail_verify_error", _ENVOY, _TLS_LISTENER, "", ""),
    ("envoy_listener_downstream_cx_overflow", _ENVOY, "the first listener", "", ""),
    ("envoy_listener_no_filter_chain_match", _ENVOY, "the first listener", "", ""),
    ("envoy_http_downstream_rq_total", _ENVOY, _TRAFFIC, "", ""),
    ("envoy_http_downstream_rq_xx", _ENVOY, _TRAFFIC, "", ""),
    ("envoy_http_downstream_rq_time_bucket", _ENVOY, _TRAFFIC, "", ""),
    ("envoy_http_downstream_rq_rx_reset", _ENVOY, _TRAFFIC, "", ""),
    ("envoy_http_downstream_cx_active", _ENVOY, _TRAFFIC, "", ""),
    ("envoy_http_local_rate_limit_rate_limited", _ENVOY, "a policy with local limits", "", ""),
    ("envoy_cluster_upstream_rq_total", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_rq_xx", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_rq_time_bucket", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_rq_retry", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_rq_timeout", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_rq_pending_overflow", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_rq_active_overflow", _ENVOY,
     "that backend on an Envoy that has this metric (seen in 1.39; before, pending_overflow)",
     "", ""),
    ("envoy_cluster_upstream_cx_overflow", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_upstream_cx_connect_fail", _ENVOY, _BACKEND, "", ""),
    ("envoy_cluster_membership_healthy", _ENVOY, "the first route with a backend", "", ""),
    ("envoy_cluster_membership_total", _ENVOY, "the first route with a backend", "", ""),
    (r"envoy_cluster_circuit_breakers_(default_)?.+_open", _ENVOY,
     "the first route with a backend", "", ""),
    ("envoy_cluster_outlier_detection_ejections_active", _ENVOY,
     "a policy with outlier detection", "", ""),
    ("envoy_overload_envoy_overload_actions_stop_accepting_requests_active", _ENVOY,
     "a memory limit on the envoy container", "", ""),
    ("envoy_overload_envoy_overload_actions_shrink_heap_active", _ENVOY,
     "a memory limit on the envoy container", "", ""),
    ("envoy_overload_envoy_resource_monitors_fixed_heap_pressure", _ENVOY,
     "a memory limit on the envoy container", "", ""),
    ("envoy_cluster_ratelimit_ok", _ENVOY, _GLOBAL_LIMIT, "", ""),
    ("envoy_cluster_ratelimit_over_limit", _ENVOY, "the first request over a limit", "", ""),
    ("envoy_cluster_ratelimit_error", _ENVOY,
     "the first question that the rate limit service did not answer", "", ""),
    ("envoy_cluster_ratelimit_failure_mode_allowed", _ENVOY,
     "the first request let through unchecked", "", ""),
    ("ratelimit_service_config_load_success", _RL, ALWAYS, "", ""),
    ("ratelimit_service_config_load_error", _RL, "the first load that fails", "", ""),
    ("ratelimit_service_total_requests", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_service_response_time_seconds_sum", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_service_response_time_seconds_count", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_service_response_time_seconds_bucket", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_service_should_rate_limit_error", _RL, "the first error", "", ""),
    ("ratelimit_service_rate_limit_total_hits", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_service_rate_limit_over_limit", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_service_rate_limit_near_limit", _RL, _GLOBAL_LIMIT, "", ""),
    ("ratelimit_redis_pool_cx_active", _RL, ALWAYS, "", ""),
    ("ratelimit_redis_pool_cx_local_close", _RL, "the first connection closed", "", ""),
    ("kube_deployment_status_replicas_ready", _KSM, ALWAYS, "", ""),
    ("kube_deployment_spec_replicas", _KSM, ALWAYS, "", ""),
    ("kube_deployment_metadata_generation", _KSM, ALWAYS, "", ""),
    ("kube_pod_container_status_restarts_total", _KSM, ALWAYS, "", ""),
    ("kube_pod_container_status_last_terminated_reason", _KSM,
     "the first container that ended", "", ""),
    ("kube_pod_container_status_last_terminated_exitcode", _KSM,
     "the first container that ended", "", ""),
    ("kube_pod_container_status_waiting_reason", _KSM, "the first container that waits", "", ""),
    ("kube_pod_container_resource_limits", _KSM, "a limit on the container", "", ""),
    ("kube_job_status_failed", _KSM, "a Job of certgen that still exists", "", ""),
    ("container_cpu_usage_seconds_total", _CADVISOR, ALWAYS, "", ""),
    ("container_cpu_cfs_throttled_seconds_total", _CADVISOR,
     "a CPU limit on the container", "", ""),
    (r"gateway:.+", SOURCES["recording rules of egops"], _TRAFFIC, "", ""),
    ("runner:watchable_panics_recovered:last_time_seconds",
     SOURCES["recording rules of egops"], "the first recovered panic", "1.3", ""),
    ("runner:watchable_subscribe_success:last_time_seconds",
     SOURCES["recording rules of egops"], ALWAYS, "", ""),
    ("egops_certificate_expiry_seconds", SOURCES["egops certs check"], ALWAYS, "", ""),
    ("egops_certificate_findings", SOURCES["egops certs check"], "the first finding", "", ""),
    ("egops_certificate_check_timestamp_seconds", SOURCES["egops certs check"], ALWAYS, "", ""),
)  # fmt: skip


@cache
def metrics() -> dict[str, Metric]:
    """Return every metric by its name, or by its pattern if releases disagree on the name."""
    return {row[0]: Metric(*row) for row in _TABLE}


@cache
def known(name: str) -> Metric | None:
    """Return what is known of a metric, or of the pattern of a selector; None for a stranger."""
    if (found := metrics().get(name)) is not None:
        return found
    for key, metric in metrics().items():
        if not key.replace("_", "").replace(":", "").isalnum() and re.fullmatch(key, name):
            return metric
    return None
