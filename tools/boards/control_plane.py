"""Control plane health: is Envoy Gateway alive, leading, translating and writing?"""

from __future__ import annotations

from tools.boards.layout import (
    BLUE,
    GREEN,
    ORANGE,
    RATE,
    RED,
    YELLOW,
    Annotation,
    Board,
    Query,
    Variable,
    born,
    counted,
    graph,
    increase_by,
    note,
    rate_by,
    stat_panel,
    table_panel,
    timeline,
)

R = RATE
S = 'job=~"$job", namespace=~"$namespace", pod=~"$pod"'
LEADER = 'name="5b9825d2.gateway.envoyproxy.io"'
KSM = 'namespace=~"$namespace", container="envoy-gateway"'
ZERO_IS_GOOD = [(None, GREEN), (0.000001, RED)]

AVAILABILITY = [
    stat_panel(
        "Ready replicas",
        "Ready pods of the Deployment `envoy-gateway`. Red at 0: nothing is translated and new "
        "Envoys cannot start; running Envoys keep the last configuration. Look at the pod's "
        "events and `kubectl logs --previous`. Needs kube-state-metrics.",
        Query(
            'sum(kube_deployment_status_replicas_ready{namespace=~"$namespace", '
            'deployment="envoy-gateway"})',
            "ready",
        ),
        Query(
            'sum(kube_deployment_spec_replicas{namespace=~"$namespace", '
            'deployment="envoy-gateway"})',
            "desired",
        ),
        unit="none",
        steps=[(None, RED), (1, GREEN)],
        no_value="no kube-state-metrics",
        runbook="EnvoyGatewayNoReadyReplica",
    ),
    stat_panel(
        "Scraped replicas",
        "Envoy Gateway pods whose metrics reach this Prometheus. Fewer than ready replicas: a "
        "scrape is broken and the other panels lie by omission.",
        Query(f"count(count by (namespace, pod) (watchable_depth{{{S}}}))", "scraped"),
        unit="none",
        steps=[(None, RED), (1, GREEN)],
        no_value="0",
        runbook="EnvoyGatewayMetricsAbsent",
    ),
    stat_panel(
        "Leaders",
        "Pods that hold the leader lease; exactly one is right. At 0 no status is written and no "
        "proxy infrastructure changes: check the Lease `5b9825d2.gateway.envoyproxy.io` and the "
        "API server. Empty when leader election is switched off.",
        Query(f"sum(leader_election_master_status{{{LEADER}, {S}}})", "leaders"),
        unit="none",
        steps=[(None, RED), (1, GREEN), (2, RED)],
        no_value="election off",
        runbook="EnvoyGatewayNoLeader",
    ),
    stat_panel(
        "Restarts in 24 h",
        "Container restarts of Envoy Gateway. Exit code 2 is a Go panic or fatal error, 137 is "
        "out of memory or a kill: read `kubectl logs --previous`. Needs kube-state-metrics.",
        Query(f"sum(increase(kube_pod_container_status_restarts_total{{{KSM}}}[24h]))", "restarts"),
        unit="none",
        decimals=0,
        steps=[(None, GREEN), (0.5, YELLOW), (2.5, RED)],
        no_value="no kube-state-metrics",
        runbook="EnvoyGatewayCrashLooping",
    ),
    stat_panel(
        "Recovered panics in 24 h",
        "Each is an update that was lost while everything still looks healthy; the first one, "
        "with which the counter is born, is counted too. Envoy Gateway before 1.3 has no such "
        "metric and crashes instead.",
        Query(
            f"{counted('watchable_panics_recovered_total', S, '24h')} "
            f"and on () count(watchable_depth{{{S}}})",
            "panics",
        ),
        unit="none",
        decimals=0,
        steps=ZERO_IS_GOOD,
        no_value="Envoy Gateway is not scraped",
        runbook="EnvoyGatewayPanicRecovered",
    ),
    stat_panel(
        "Uptime of the youngest pod",
        "Time since the last start of an Envoy Gateway process. A short one explains reconnects, "
        "a burst of status writes and resets of counters.",
        Query(
            f"min(time() - (process_start_time_seconds{{{S}}} and on (namespace, pod) "
            f"watchable_depth{{{S}}}))",
            "uptime",
        ),
        unit="s",
        steps=[(None, YELLOW), (600, GREEN)],
    ),
    timeline(
        "Who leads",
        "1 for the pod that holds the lease. Frequent changes mean a slow API server or a "
        "throttled Envoy Gateway.",
        Query(f"sum by (pod) (leader_election_master_status{{{LEADER}, {S}}})", "{{pod}}"),
        unit="none",
        mappings={"1": ("leader", GREEN), "0": ("standby", BLUE)},
        width=24,
        height=4,
        runbook="EnvoyGatewayNoLeader",
    ),
]

CRASHES = [
    note(
        "How to read the panic panels",
        "A panic in a runner is caught and the update it was handling is **lost**: the last good "
        "configuration stays, pods stay Ready, Gateways stay Programmed. A counter that never "
        "fired does not exist and is born as 1: **the first panic has a line of its own** below. "
        "Find the object changed last, revert it, then `egops doctor --only EGD-141`. Do not "
        "restart Envoys: they would lose the last good configuration.",
    ),
    graph(
        "Recovered panics by runner and message",
        "Growth per interval. Anything above zero is a lost update. A steady rate is a frozen "
        "configuration: bisect the last changes to Gateways, routes and policies.",
        increase_by(
            "runner, message", "watchable_panics_recovered_total", S, "{{runner}} {{message}}"
        ),
        Query(
            born("watchable_panics_recovered_total", S, "runner, message"),
            "first of {{runner}} {{message}}",
        ),
        steps=ZERO_IS_GOOD,
        no_value="no panic so far",
        runbook="EnvoyGatewayPanicLoop",
    ),
    graph(
        "Reconcile and webhook panics",
        "Panics caught by controller-runtime, on the side that reads from the API server and in "
        "the webhook. Read the log for `Observed a panic`; report it upstream with the object.",
        increase_by("pod", "controller_runtime_reconcile_panics_total", S, "reconcile {{pod}}"),
        increase_by("pod", "controller_runtime_webhook_panics_total", S, "webhook {{pod}}"),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyGatewayReconcilePanic",
    ),
    graph(
        "Restarts",
        "Container restarts. After one the xDS cache is empty until the first translation. Needs "
        "kube-state-metrics.",
        increase_by("pod", "kube_pod_container_status_restarts_total", KSM, "{{pod}}"),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyGatewayCrashLooping",
    ),
    table_panel(
        "Why containers ended last",
        "Last termination reason of Envoy Gateway, Envoy and the rate limit service. `OOMKilled`: "
        "raise the limit or find what grew. `Error`: read `kubectl logs --previous`. Needs "
        "kube-state-metrics.",
        Query(
            "max by (namespace, pod, container, reason) "
            '(kube_pod_container_status_last_terminated_reason{namespace=~"$namespace", '
            'container=~"envoy-gateway|envoy|envoy-ratelimit"} == 1)'
        ),
        unit="none",
        steps=[(None, RED)],
        no_value="nothing ended",
        width=12,
        runbook="EnvoyGatewayOOMKilled",
    ),
    table_panel(
        "Exit codes",
        "2 is a Go panic or fatal error, 137 out of memory or a kill, 143 an orderly stop. Needs "
        "kube-state-metrics 2.9 or later.",
        Query(
            "max by (namespace, pod, container) "
            '(kube_pod_container_status_last_terminated_exitcode{namespace=~"$namespace", '
            'container=~"envoy-gateway|envoy|envoy-ratelimit"})'
        ),
        unit="none",
        columns={"Value": "Exit code"},
        steps=[(None, GREEN), (1, RED), (143, YELLOW)],
        no_value="nothing ended",
        width=12,
        runbook="EnvoyGatewayCrashLooping",
    ),
]

TRANSLATION = [
    graph(
        "Updates handled, by runner and result",
        "Each runner hands its result to the next: provider, gateway-api, xds, infrastructure. A "
        "failure counts once for each error, beside the success of the same pass; a panic counts "
        "as a failure only.",
        rate_by("runner, status", "watchable_subscribe_total", S, "{{runner}} {{status}}"),
        unit="ops",
        width=12,
    ),
    graph(
        "Failures, by runner, message and reason",
        "Above zero for long: an object cannot be translated or infrastructure cannot be written. "
        "The log of the runner names it; `egops doctor` names the object.",
        rate_by(
            "runner, message, reason",
            "watchable_subscribe_total",
            f'status="failure", {S}',
            "{{runner}} {{message}} {{reason}}",
        ),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="no failure so far",
        width=12,
        runbook="EnvoyGatewayRunnerErrors",
    ),
    graph(
        "Time to handle an update, median",
        "How long a runner needs for one update. The highest bucket is 10 s.",
        Query(
            "histogram_quantile(0.5, sum by (le, runner) "
            f"(rate(watchable_subscribe_duration_seconds_bucket{{{S}}}{R})))",
            "{{runner}}",
        ),
        unit="s",
    ),
    graph(
        "Time to handle an update, p99",
        "Above 5 s every change of a route is late: look for a very large number of routes, slow "
        "extension servers, CPU throttling. The highest bucket is 10 s, so 10 means 10 or more.",
        Query(
            "histogram_quantile(0.99, sum by (le, runner) "
            f"(rate(watchable_subscribe_duration_seconds_bucket{{{S}}}{R})))",
            "{{runner}}",
        ),
        unit="s",
        steps=[(None, GREEN), (5, RED)],
    ),
    graph(
        "Updates published and events seen",
        "Published by a runner (1.5 and later) and events it saw (1.8 and later). Events without "
        "anything published afterwards: the runner is stuck or nothing really changed.",
        rate_by("runner", "watchable_publish_total", S, "published {{runner}}"),
        rate_by(
            "runner, event_type", "watchable_event_total", S, "event {{runner}} {{event_type}}"
        ),
        unit="ops",
    ),
]

WRITES = [
    graph(
        "Status writes, by result",
        "`no_action` passes count as success too. `failure` with reason `conflict` is normal: it "
        "is tried again.",
        rate_by("status, reason", "status_update_total", S, "{{status}} {{reason}}"),
        unit="ops",
    ),
    graph(
        "Status writes that failed, by kind",
        "Conflicts left out. Above zero for long: RBAC, a CRD of another version, an admission "
        "webhook. Users then look at conditions that are out of date.",
        rate_by(
            "kind", "status_update_total", f'status="failure", reason="error", {S}', "{{kind}}"
        ),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="no failure so far",
        runbook="EnvoyGatewayStatusUpdateErrors",
    ),
    graph(
        "Time to write a status, p99",
        "Grows with a slow API server or client-side throttling.",
        Query(
            "histogram_quantile(0.99, sum by (le, kind) "
            f"(rate(status_update_duration_seconds_bucket{{{S}}}{R})))",
            "{{kind}}",
        ),
        unit="s",
        steps=[(None, GREEN), (5, RED)],
    ),
    graph(
        "Infrastructure writes that failed",
        "Deployments, Services and ConfigMaps of the proxies that could not be applied: quota, "
        "admission, an immutable field. Until it heals, new listeners do not open.",
        rate_by(
            "kind, name", "resource_apply_total", f'status="failure", {S}', "{{kind}} {{name}}"
        ),
        rate_by(
            "kind, name",
            "resource_delete_total",
            f'status="failure", {S}',
            "delete {{kind}} {{name}}",
        ),
        unit="ops",
        steps=ZERO_IS_GOOD,
        no_value="no failure so far",
        width=12,
        runbook="EnvoyGatewayInfraApplyErrors",
    ),
    graph(
        "Infrastructure writes, by kind",
        "Writes that succeed. A steady rate without changes is a fight with another controller "
        "over the same field.",
        rate_by("kind", "resource_apply_total", f'status="success", {S}', "{{kind}}"),
        unit="ops",
        width=12,
    ),
]

API_SERVER = [
    graph(
        "Reconciles, by result",
        "Work triggered by changes in the cluster. More than one a second for long: something writes "
        "the same objects again and again; the API server's audit log names it.",
        rate_by("result", "controller_runtime_reconcile_total", S, "{{result}}"),
        rate_by("pod", "controller_runtime_reconcile_errors_total", S, "errors {{pod}}"),
        unit="ops",
        width=12,
    ),
    graph(
        "Work queue",
        "Objects that wait to be reconciled. Growing without end: Envoy Gateway is too slow or "
        "stuck. 1.2 and 1.3 export no such metric.",
        Query(f'sum by (pod) (workqueue_depth{{name=~"gatewayapi-.+", {S}}})', "{{pod}}"),
        width=12,
    ),
    graph(
        "Requests to the API server that failed",
        "429 is throttling by the server, 403 is missing RBAC, 5xx the server's trouble. 404 and "
        "409 now and then are normal.",
        rate_by("code", "rest_client_requests_total", f'code!~"2..", {S}', "{{code}}"),
        unit="reqps",
        width=12,
    ),
    graph(
        "Client-side throttling, p99",
        "Time a request waits before it is sent (1.4 and later). Above a second: raise the "
        "client's QPS and burst in the EnvoyGateway configuration.",
        Query(
            "histogram_quantile(0.99, sum by (le, verb) "
            f"(rate(rest_client_rate_limiter_duration_seconds_bucket{{{S}}}{R})))",
            "{{verb}}",
        ),
        unit="s",
        steps=[(None, GREEN), (1, RED)],
        width=12,
    ),
]

RESOURCES = [
    graph(
        "CPU",
        "Cores used by the process. Translation is bursty: throttling at the limit delays every "
        "change.",
        Query(
            f"sum by (pod) (rate(process_cpu_seconds_total{{{S}}}{R}) and on (namespace, pod) "
            f"watchable_depth{{{S}}})",
            "{{pod}}",
        ),
        width=12,
    ),
    graph(
        "Memory",
        "Resident memory, and the limit where kube-state-metrics knows it. It grows with routes, "
        "EndpointSlices and Secrets; at the limit the kernel kills the process.",
        Query(
            f"sum by (pod) (process_resident_memory_bytes{{{S}}} and on (namespace, pod) "
            f"watchable_depth{{{S}}})",
            "{{pod}}",
        ),
        Query(
            f'max by (pod) (kube_pod_container_resource_limits{{{KSM}, resource="memory"}})',
            "limit {{pod}}",
        ),
        unit="bytes",
        width=12,
        runbook="EnvoyGatewayOOMKilled",
    ),
    graph(
        "Goroutines",
        "A line that only rises is a leak: note the version, take a profile from the admin port, "
        "restart at a quiet hour.",
        Query(
            f"sum by (pod) (go_goroutines{{{S}}} and on (namespace, pod) watchable_depth{{{S}}})",
            "{{pod}}",
        ),
    ),
    graph(
        "Garbage collection",
        "Share of time the process stands still for garbage collection. Rising with memory near "
        "its limit: raise the limit.",
        Query(
            f"sum by (pod) (rate(go_gc_duration_seconds_sum{{{S}}}{R}) and on (namespace, pod) "
            f"watchable_depth{{{S}}})",
            "{{pod}}",
        ),
        unit="percentunit",
        steps=[(None, GREEN), (0.1, ORANGE)],
    ),
    graph(
        "Wasm cache and fetches",
        "Modules held, lookups that missed, fetches that failed. Empty when no policy uses Wasm.",
        Query(f"sum by (pod) (wasm_cache_entries{{{S}}})", "entries {{pod}}"),
        rate_by("hit", "wasm_cache_lookup_total", S, "lookups, hit={{hit}}"),
        rate_by("status, reason", "wasm_remote_fetch_total", S, "fetches {{status}} {{reason}}"),
        no_value="Wasm is not used",
    ),
]

BOARD = Board(
    uid="egops-control-plane",
    title="Envoy Gateway / Control plane",
    description="Is Envoy Gateway alive, leading, translating and writing what it should?",
    variables=[
        Variable("job", "Job", "label_values(watchable_subscribe_total, job)"),
        Variable(
            "namespace",
            "Namespace",
            'label_values(watchable_subscribe_total{job=~"$job"}, namespace)',
            description="Namespaces in which an Envoy Gateway runs",
        ),
        Variable(
            "pod",
            "Pod",
            'label_values(watchable_subscribe_total{job=~"$job", namespace=~"$namespace"}, pod)',
        ),
    ],
    annotations=[
        Annotation(
            "Envoy Gateway starts",
            f"sum by (pod) (time() - process_start_time_seconds{{{S}}} < 60 "
            f"and on (namespace, pod) watchable_depth{{{S}}})",
            BLUE,
        ),
        Annotation(
            "Envoy Gateway rollouts",
            "sum by (deployment) (changes(kube_deployment_metadata_generation"
            '{namespace=~"$namespace", deployment="envoy-gateway"}[$__rate_interval])) > 0',
            YELLOW,
        ),
        Annotation(
            "Config pushes",
            f'sum(increase(xds_snapshot_update_total{{status="success", {S}}}{R})) > 0',
            GREEN,
            enabled=False,
        ),
    ],
    rows=[
        ("Is the control plane there?", AVAILABILITY),
        ("Does it crash or lose updates?", CRASHES),
        ("Does it translate?", TRANSLATION),
        ("Does it write status and infrastructure?", WRITES),
        ("Does the API server keep up?", API_SERVER),
        ("Has it enough CPU and memory?", RESOURCES),
    ],
)
