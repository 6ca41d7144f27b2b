"""xDS health: does every Envoy have the configuration that it should have?"""

from __future__ import annotations

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
    born,
    graph,
    increase_by,
    rate_by,
    stat_panel,
    table_panel,
    timeline,
)

R = RATE
S = f'job=~"$job", namespace=~"$namespace", pod=~"$pod", {GATEWAY_LABEL}=~"$gateway"'
# Envoy Gateway's own pods are not the ones in $pod, and its namespace may be another one: its
# series are joined on nodeID, which is the Envoy pod's name
EG = 'job=~"$job"'
NODE = f'nodeID=~"$pod", {EG}'
LINKS = 'envoy_cluster_name=~"xds_cluster|ratelimit_cluster|wasm_cluster"'
ZERO_IS_GOOD = [(None, GREEN), (0.000001, RED)]
# the Deployment's name, from the pod's: the only fleet label that every way of scraping has
FLEET = '"fleet", "$1", "pod", "(.+?)(?:-[a-z0-9]{6,10})?-[a-z0-9]{5}"'


# up to 1.3 the Secret is part of the metric's name: summed first, or increase() sees duplicates
SDS_REJECTED = f'sum by (pod) ({{__name__=~"envoy_sds_(.+_)?update_rejected", {S}}})'


def _rejected(title: str, metric: str) -> Query:
    return Query(f"sum by (pod) (increase({metric}{{{S}}}{R}))", f"{title} {{{{pod}}}}")


def _rejected_in_an_hour() -> str:
    terms = [f"sum(increase({metric}{{{S}}}[1h]))" for metric in REJECTED_METRICS]
    terms.append(f"sum(increase(({SDS_REJECTED})[1h:1m]))")
    return " + ".join(f"({term} or vector(0))" for term in terms)


REJECTED_METRICS = (
    "envoy_listener_manager_lds_update_rejected",
    "envoy_cluster_manager_cds_update_rejected",
    "envoy_http_rds_update_rejected",
    "envoy_cluster_update_rejected",
)


CONNECTED = [
    stat_panel(
        "Envoys connected",
        "Envoys with a live stream to Envoy Gateway. A disconnected one serves its last "
        "configuration and learns nothing new, endpoints included.",
        Query(f"sum(envoy_control_plane_connected_state{{{S}}})", "connected"),
        Query(f"count(envoy_control_plane_connected_state{{{S}}})", "scraped"),
        unit="none",
        width=5,
        steps=[(None, RED), (1, GREEN)],
        no_value="no Envoy is scraped",
        runbook="EnvoyProxyDisconnected",
    ),
    stat_panel(
        "Share connected",
        "Below 100 % some Envoys run on old configuration; below 50 % suspect Envoy Gateway itself "
        "or its certificates: `egops doctor --only EGD-440`, `egops certs check`.",
        Query(f"avg(envoy_control_plane_connected_state{{{S}}})", "connected"),
        unit="percentunit",
        steps=[(None, RED), (0.5, ORANGE), (1, GREEN)],
        no_value="no Envoy is scraped",
        runbook="EnvoyProxyFleetDisconnected",
    ),
    stat_panel(
        "Updates rejected in 1 h",
        "Configuration that Envoys refused. They keep the old one and look healthy; **a restarted "
        "pod will fail**. Read Envoy's log for `rejected`, then `egops doctor --only EGD-441`.",
        Query(
            f"({_rejected_in_an_hour()}) and on () count(envoy_control_plane_connected_state{{{S}}})",
            "rejected",
        ),
        unit="none",
        width=5,
        decimals=0,
        steps=ZERO_IS_GOOD,
        no_value="no Envoy is scraped",
        runbook="EnvoyProxyXdsRejected",
    ),
    stat_panel(
        "Envoys not live",
        "Envoys that drain, or still wait for their first configuration. For more than minutes: "
        "Envoy Gateway is gone, or its certificate is not trusted.",
        Query(f"count(envoy_server_state{{{S}}} > 0) or vector(0)", "not live"),
        unit="none",
        width=5,
        steps=[(None, GREEN), (1, RED)],
        runbook="EnvoyProxyStuckInitializing",
    ),
    stat_panel(
        "Warming",
        "Clusters and listeners that wait for something before they serve: endpoints, a "
        "certificate, a Wasm module. More than a minute: `egops doctor --only EGD-442,EGD-443`.",
        Query(f"sum(envoy_cluster_manager_warming_clusters{{{S}}})", "clusters"),
        Query(f"sum(envoy_listener_manager_total_listeners_warming{{{S}}})", "listeners"),
        unit="none",
        width=5,
        steps=[(None, GREEN), (1, YELLOW)],
        no_value="no Envoy is scraped",
    ),
    timeline(
        "Connected to the control plane",
        "A band for each Envoy. All red at once: Envoy Gateway or its certificate. One red: that "
        "pod's DNS, network policy or node.",
        Query(f"max by (namespace, pod) (envoy_control_plane_connected_state{{{S}}})", "{{pod}}"),
        unit="none",
        mappings={"1": ("connected", GREEN), "0": ("disconnected", RED)},
        width=16,
        runbook="EnvoyProxyDisconnected",
    ),
    table_panel(
        "Disconnected now",
        "Envoys without a stream to Envoy Gateway. Start with `egops doctor --only EGD-440`.",
        Query(f"max by (namespace, pod) (envoy_control_plane_connected_state{{{S}}}) == 0"),
        unit="none",
        columns={"Value": "Connected"},
        steps=[(None, RED)],
        no_value="all are connected",
        runbook="EnvoyProxyDisconnected",
    ),
]

REJECTED = [
    graph(
        "Updates rejected by Envoy, by type",
        "Any rise is a refused update. Usual suspects: EnvoyPatchPolicy, a certificate Envoy cannot "
        "read, an extension server, duplicate filter chains.",
        _rejected("listeners", "envoy_listener_manager_lds_update_rejected"),
        _rejected("clusters", "envoy_cluster_manager_cds_update_rejected"),
        _rejected("routes", "envoy_http_rds_update_rejected"),
        _rejected("endpoints", "envoy_cluster_update_rejected"),
        Query(f"increase(({SDS_REJECTED})[$__rate_interval:30s])", "secrets {{pod}}"),
        steps=ZERO_IS_GOOD,
        width=12,
        runbook="EnvoyProxyXdsRejected",
    ),
    graph(
        "Rejections counted by Envoy Gateway",
        "The same event seen from the other end, by type of resource (1.9 and later). The first "
        "rejection, with which the counter is born, has a line of its own.",
        increase_by("nodeID, typeURL", "xds_nack_total", NODE, "{{nodeID}} {{typeURL}}"),
        Query(born("xds_nack_total", NODE, "nodeID, typeURL"), "first of {{nodeID}} {{typeURL}}"),
        steps=ZERO_IS_GOOD,
        no_value="no rejection so far, or before 1.9",
        width=12,
        runbook="EnvoyGatewayXdsNack",
    ),
    graph(
        "Updates that failed",
        "The stream broke or the fetch failed; Envoy tries again. Constant: see the connection row.",
        increase_by("pod", "envoy_listener_manager_lds_update_failure", S, "listeners {{pod}}"),
        increase_by("pod", "envoy_cluster_manager_cds_update_failure", S, "clusters {{pod}}"),
        increase_by("pod", "envoy_http_rds_update_failure", S, "routes {{pod}}"),
        steps=[(None, GREEN), (1, YELLOW)],
    ),
    graph(
        "First fetch timed out",
        "A listener, cluster or route started without what it asked for. Usually Envoy Gateway "
        "was too slow after a restart.",
        increase_by("pod", "envoy_listener_manager_lds_init_fetch_timeout", S, "listeners {{pod}}"),
        increase_by("pod", "envoy_cluster_manager_cds_init_fetch_timeout", S, "clusters {{pod}}"),
        increase_by("pod", "envoy_http_rds_init_fetch_timeout", S, "routes {{pod}}"),
        steps=[(None, GREEN), (1, YELLOW)],
    ),
    graph(
        "Listeners that could not be created",
        "A port that is taken or may not be bound, or a socket option the kernel refuses. The "
        "listener does not open.",
        increase_by("pod", "envoy_listener_manager_listener_create_failure", S, "{{pod}}"),
        steps=ZERO_IS_GOOD,
    ),
]

AGREEMENT = [
    graph(
        "Configuration versions in one fleet",
        "Different CDS versions among the pods of one Deployment. More than 1 for long: pods "
        "disagree, so answers depend on the pod. With several Envoy Gateway replicas the version "
        "may differ while the content is equal: `egops doctor --only EGD-444` compares contents.",
        Query(
            'count by (namespace, fleet) (count_values by (namespace, fleet) ("version", '
            f"label_replace(envoy_cluster_manager_cds_version{{{S}}}, {FLEET})))",
            "{{fleet}}",
        ),
        steps=[(None, GREEN), (2, YELLOW)],
    ),
    graph(
        "Configuration updates taken",
        "Successful updates of listeners and clusters. A pod that stays flat while others move has "
        "lost its stream.",
        increase_by("pod", "envoy_listener_manager_lds_update_success", S, "listeners {{pod}}"),
        increase_by("pod", "envoy_cluster_manager_cds_update_success", S, "clusters {{pod}}"),
    ),
    table_panel(
        "Envoys that got no snapshot in 1 h",
        "Envoys known to Envoy Gateway for which no snapshot was written in the last hour. Fine on "
        "a quiet cluster; wrong when you have just changed a route.",
        Query(
            "max by (namespace, pod) (envoy_control_plane_connected_state"
            f"{{{S}}}) unless on (pod) label_replace(sum by (nodeID) "
            f'(increase(xds_snapshot_update_total{{status="success", {NODE}}}[1h])) > 0, '
            '"pod", "$1", "nodeID", "(.+)")'
        ),
        unit="none",
        columns={"Value": "Connected"},
        steps=[(None, RED), (1, GREEN)],
        no_value="all got one",
    ),
    graph(
        "Snapshots, by result",
        "Snapshots built and handed out by Envoy Gateway. A failure means an inconsistent snapshot: "
        "no Envoy gets anything new.",
        rate_by("status", "xds_snapshot_create_total", EG, "created {{status}}"),
        rate_by("status", "xds_snapshot_update_total", NODE, "updated {{status}}"),
        unit="ops",
        runbook="EnvoyGatewayXdsSnapshotErrors",
    ),
    graph(
        "Active clusters and listeners",
        "What each Envoy serves. A sudden fall is a deleted Gateway or route, or a translation "
        "that lost something.",
        Query(f"sum by (pod) (envoy_cluster_manager_active_clusters{{{S}}})", "clusters {{pod}}"),
        Query(
            f"sum by (pod) (envoy_listener_manager_total_listeners_active{{{S}}})",
            "listeners {{pod}}",
        ),
    ),
    graph(
        "Warming and draining",
        "Warming waits for a dependency, draining for connections to end. Neither should last.",
        Query(f"sum by (pod) (envoy_cluster_manager_warming_clusters{{{S}}})", "clusters {{pod}}"),
        Query(
            f"sum by (pod) (envoy_listener_manager_total_listeners_warming{{{S}}})",
            "listeners {{pod}}",
        ),
        Query(
            f"sum by (pod) (envoy_listener_manager_total_listeners_draining{{{S}}})",
            "draining {{pod}}",
        ),
        steps=[(None, GREEN), (1, YELLOW)],
    ),
]

STREAMS = [
    graph(
        "Reconnects",
        "New connections from each Envoy to Envoy Gateway. A burst at a rollout is right; a steady "
        "rate is a broken link (DNS, TLS, a proxy in between that cuts idle streams).",
        increase_by(
            "pod",
            "envoy_cluster_upstream_cx_total",
            f'envoy_cluster_name="xds_cluster", {S}',
            "{{pod}}",
        ),
        steps=[(None, GREEN), (3, YELLOW)],
        runbook="EnvoyProxyDisconnected",
    ),
    graph(
        "Streams ended",
        "Streams that ended in the last 10 minutes, as Envoy Gateway counts them. Each stream is "
        "a series of its own, so a rate would always be 0.",
        Query(
            f"count(xds_stream_duration_seconds_count{{{NODE}}} unless "
            f"xds_stream_duration_seconds_count{{{NODE}}} offset 10m)",
            "streams",
        ),
        no_value="none",
    ),
    graph(
        "TLS errors to the control plane, by cluster",
        "Handshakes that failed and certificates that did not verify. `xds_cluster` hours after a "
        "rotation: the CA differs (`egops certs check`). `ratelimit_cluster`: restart the Envoy.",
        increase_by(
            "pod, envoy_cluster_name",
            "envoy_cluster_ssl_connection_error",
            f"{LINKS}, {S}",
            "handshake {{envoy_cluster_name}} {{pod}}",
        ),
        increase_by(
            "pod, envoy_cluster_name",
            "envoy_cluster_ssl_fail_verify_error",
            f"{LINKS}, {S}",
            "verify {{envoy_cluster_name}} {{pod}}",
        ),
        increase_by(
            "pod, envoy_cluster_name",
            "envoy_cluster_ssl_fail_verify_san",
            f"{LINKS}, {S}",
            "name {{envoy_cluster_name}} {{pod}}",
        ),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyControlPlaneTlsVerifyFailing",
    ),
    timeline(
        "Server state",
        "Live, draining, or waiting for configuration. A pod that stays in pre-initializing never "
        "got its first configuration.",
        Query(f"max by (namespace, pod) (envoy_server_state{{{S}}})", "{{pod}}"),
        unit="none",
        mappings={
            "0": ("live", GREEN),
            "1": ("draining", YELLOW),
            "2": ("pre-initializing", ORANGE),
            "3": ("initializing", BLUE),
        },
        width=12,
        runbook="EnvoyProxyStuckInitializing",
    ),
    graph(
        "Time to become live",
        "From process start to the first complete configuration. Rising with the number of routes; "
        "it is what a scale-out waits for.",
        Query(f"max by (pod) (envoy_server_initialization_time_ms_sum{{{S}}})", "{{pod}}"),
        unit="ms",
        width=12,
    ),
]

BOARD = Board(
    uid="egops-xds",
    title="Envoy Gateway / xDS",
    description="Does every Envoy have the configuration that it should have?",
    variables=[
        Variable(
            "job",
            "Job",
            'label_values({__name__=~"envoy_control_plane_connected_state|xds_snapshot_update_total"'
            "}, job)",
            description="Jobs that scrape Envoys, and the one that scrapes Envoy Gateway",
        ),
        Variable(
            "namespace",
            "Namespace",
            'label_values(envoy_control_plane_connected_state{job=~"$job"}, namespace)',
            description="Namespaces in which Envoys run",
        ),
        Variable(
            "gateway",
            "Gateway",
            "label_values(envoy_control_plane_connected_state"
            f'{{job=~"$job", namespace=~"$namespace"}}, {GATEWAY_LABEL})',
            all_value=".*",
            description="Empty when the scrape does not copy pod labels (podTargetLabels)",
        ),
        Variable(
            "pod",
            "Pod",
            "label_values(envoy_control_plane_connected_state"
            '{job=~"$job", namespace=~"$namespace"}, pod)',
        ),
    ],
    annotations=[
        Annotation(
            "Envoy Gateway starts",
            f"sum by (pod) (time() - process_start_time_seconds{{{EG}}} < 60 "
            f"and on (namespace, pod) watchable_depth{{{EG}}})",
            BLUE,
        ),
        Annotation(
            "Config pushes",
            f'sum(increase(xds_snapshot_update_total{{status="success", {EG}}}{R})) > 0',
            GREEN,
            enabled=False,
        ),
        Annotation(
            "Certificate rotations",
            "sum by (pod) (increase(envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds"
            f'{{envoy_cluster_name="xds_cluster", {S}}}{R})) > 0',
            ORANGE,
        ),
    ],
    rows=[
        ("Are all Envoys connected?", CONNECTED),
        ("Is configuration accepted?", REJECTED),
        ("Do all Envoys agree?", AGREEMENT),
        ("Is the link stable?", STREAMS),
    ],
)
