"""Certificates: what expires when, and is the control-plane TLS in order?"""

from __future__ import annotations

from tools.boards.layout import (
    GATEWAY_LABEL,
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Annotation,
    Board,
    Query,
    Variable,
    bars,
    graph,
    note,
    stat_panel,
    table_panel,
)

S = f'job=~"$job", namespace=~"$namespace", pod=~"$pod", {GATEWAY_LABEL}=~"$gateway"'
R = "[$__rate_interval]"
LINKS = 'envoy_cluster_name=~"xds_cluster|ratelimit_cluster|wasm_cluster"'
ZERO_IS_GOOD = [(None, GREEN), (0.000001, RED)]
DAYS = [(None, RED), (7, ORANGE), (30, GREEN)]
# Envoy reports 2^32 - 1 days, more or less, when it has no certificate that expires
LOADED = f"envoy_server_days_until_first_cert_expiring{{{S}}} < 100000"
LISTENER_EXPIRY = f"envoy_listener_ssl_certificate_expiration_unix_time_seconds{{{S}}}"
CLUSTER_EXPIRY = f"envoy_cluster_ssl_certificate_expiration_unix_time_seconds{{{S}}}"


def _rotation_failed() -> list[Query]:
    """Return one query for 1.4 and later, and one for each name of the years before."""
    named = Query(
        "sum by (pod, envoy_xds_resource_name) "
        f"(increase(envoy_sds_key_rotation_failed{{{S}}}{R}))",
        "{{envoy_xds_resource_name}} {{pod}}",
    )
    old = [
        Query(
            f"sum by (pod) (increase(envoy_sds_{secret}_key_rotation_failed{{{S}}}{R}))",
            f"{secret} {{{{pod}}}}",
        )
        for secret in ("xds_certificate", "xds_trusted_ca")
    ]
    return [named, *old]


EXPIRY = [
    stat_panel(
        "First to expire",
        "Days until the first certificate loaded by any Envoy expires: users' certificates, "
        "backend CAs and Envoy Gateway's own alike. Which one it is: the table below, or "
        "`egops certs check`.",
        Query(f"min({LOADED})", "days"),
        unit="d",
        width=6,
        decimals=0,
        steps=DAYS,
        no_value="no certificate, or no Envoy is scraped",
        runbook="EnvoyCertExpiringSoon",
    ),
    stat_panel(
        "Control-plane certificate",
        "Days until Envoy's client certificate for the xDS link, or its CA, expires. Envoy Gateway "
        "makes them for 5 years and never renews them: `egops certs rotate`. Needs Envoy 1.36 or "
        "later.",
        Query(
            "(min(envoy_cluster_ssl_certificate_expiration_unix_time_seconds"
            f"{{{LINKS}, {S}}}) - time()) / 86400",
            "days",
        ),
        unit="d",
        width=6,
        decimals=0,
        steps=DAYS,
        no_value="Envoy too old for this metric",
        runbook="EnvoyXdsCertExpiring",
    ),
    stat_panel(
        "Reloads that failed in 24 h",
        "A pair on disk that Envoy could not load: key and certificate do not belong together, or "
        "a half-written file. The old pair stays in use until it expires.",
        Query(
            f"(sum(increase(envoy_sds_key_rotation_failed{{{S}}}[24h])) or vector(0)) + "
            f"(sum(increase(envoy_sds_xds_certificate_key_rotation_failed{{{S}}}[24h])) or "
            "vector(0)) + "
            f"(sum(increase(envoy_sds_xds_trusted_ca_key_rotation_failed{{{S}}}[24h])) or "
            f"vector(0)) and on () count(envoy_server_live{{{S}}})",
            "failed",
        ),
        unit="none",
        width=6,
        decimals=0,
        steps=ZERO_IS_GOOD,
        no_value="no Envoy is scraped",
        runbook="EnvoyCertReloadFailed",
    ),
    stat_panel(
        "Certgen Jobs that failed",
        "The Helm hook that makes Envoy Gateway's certificates. A failure at install or upgrade "
        "leaves Secrets missing or old. Needs kube-state-metrics.",
        Query(
            'sum(kube_job_status_failed{namespace=~"$namespace", job_name=~".*certgen.*"})',
            "failed",
        ),
        unit="none",
        width=6,
        steps=ZERO_IS_GOOD,
        no_value="no Job left, or no kube-state-metrics",
    ),
    bars(
        "Days left, by pod",
        "The first certificate to expire on each Envoy. One pod lower than its siblings has not "
        "taken up a renewed certificate: `egops doctor --only EGD-406`.",
        Query(f"min by (pod) ({LOADED})", "{{pod}}"),
        unit="d",
        width=10,
        height=8,
        steps=DAYS,
        no_value="no certificate is loaded",
        runbook="EnvoyCertExpiringSoon",
    ),
    table_panel(
        "Certificates in use",
        "Every certificate an Envoy has loaded, the first to expire on top: listeners carry "
        "`<namespace>/<secret>`, the xDS link `xds_certificate` and `xds_trusted_ca`, the rate "
        "limit link `unnamed_…` because its pair comes from files. Needs Envoy 1.36 or later.",
        Query(
            "sort(min by (namespace, envoy_tls_certificate) "
            f"(({LISTENER_EXPIRY} or {CLUSTER_EXPIRY}) - time()) / 86400)"
        ),
        unit="d",
        width=14,
        height=8,
        decimals=1,
        columns={"Value": "Days left", "envoy_tls_certificate": "Certificate"},
        steps=DAYS,
        no_value="Envoy too old for this metric",
        runbook="EnvoyCertExpiringSoon",
    ),
    graph(
        "Days left, over time",
        "A saw-tooth is renewal at work. A line that only falls is not renewed by anyone.",
        Query(f"min by (namespace) ({LOADED})", "{{namespace}} all"),
        Query(
            f"min by (namespace, envoy_tls_certificate) (({LISTENER_EXPIRY} - time()) / 86400)",
            "{{envoy_tls_certificate}}",
        ),
        unit="d",
        width=24,
        steps=DAYS,
    ),
]

ROTATION = [
    graph(
        "TLS contexts renewed",
        "Each step is a certificate that Envoy took up: on the xDS link after `egops certs "
        "rotate`, on listeners after a renewal. A rotation that shows no step here has not arrived.",
        Query(
            "sum by (pod, envoy_cluster_name) "
            "(increase(envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds"
            f"{{{LINKS}, {S}}}{R}))",
            "{{envoy_cluster_name}} {{pod}}",
        ),
        Query(
            "sum by (pod, envoy_listener_address) "
            "(increase(envoy_listener_server_ssl_socket_factory_ssl_context_update_by_sds"
            f"{{{S}}}{R}))",
            "{{envoy_listener_address}} {{pod}}",
        ),
    ),
    graph(
        "Reloads that failed",
        "Key and certificate on disk do not belong together, or cannot be read. Write them anew in "
        "one step; `egops certs rotate` does.",
        *_rotation_failed(),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyCertReloadFailed",
    ),
    graph(
        "Secrets not ready",
        "Connections and listeners that wait for a Secret. Above zero for long: the Secret is "
        "missing or was rejected: `egops doctor --only EGD-405`.",
        Query(
            "sum by (pod, envoy_cluster_name) "
            "(increase(envoy_cluster_client_ssl_socket_factory_upstream_context_secrets_not_ready"
            f"{{{S}}}{R}))",
            "{{envoy_cluster_name}} {{pod}}",
        ),
        Query(
            "sum by (pod, envoy_listener_address) "
            "(increase(envoy_listener_server_ssl_socket_factory_downstream_context_secrets_not_ready"
            f"{{{S}}}{R}))",
            "{{envoy_listener_address}} {{pod}}",
        ),
        steps=ZERO_IS_GOOD,
    ),
]

TRUST = [
    note(
        "Why trust breaks late",
        "A certificate is checked when a connection is made. After a rotation that changes the CA, "
        "old streams live on, and the error comes hours later, with the first reconnect. "
        "`egops certs check` compares the Secrets of all parties at once.",
    ),
    graph(
        "Certificates that did not verify",
        "The peer's certificate is signed by another CA, or has run out. On `xds_cluster` no Envoy "
        "gets configuration; on `ratelimit_cluster` limits are not enforced.",
        Query(
            "sum by (pod, envoy_cluster_name) "
            f"(increase(envoy_cluster_ssl_fail_verify_error{{{LINKS}, {S}}}{R}))",
            "{{envoy_cluster_name}} {{pod}}",
        ),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyControlPlaneTlsVerifyFailing",
    ),
    graph(
        "Names that did not match",
        "The certificate is trusted and issued for another name: `egops doctor --only EGD-409`.",
        Query(
            "sum by (pod, envoy_cluster_name) "
            f"(increase(envoy_cluster_ssl_fail_verify_san{{{LINKS}, {S}}}{R}))",
            "{{envoy_cluster_name}} {{pod}}",
        ),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyControlPlaneTlsVerifyFailing",
    ),
    graph(
        "Handshakes that failed",
        "Anything that ended a TLS handshake on a control-plane link, the two reasons beside "
        "included.",
        Query(
            "sum by (pod, envoy_cluster_name) "
            f"(increase(envoy_cluster_ssl_connection_error{{{LINKS}, {S}}}{R}))",
            "{{envoy_cluster_name}} {{pod}}",
        ),
        steps=ZERO_IS_GOOD,
        runbook="EnvoyControlPlaneTlsVerifyFailing",
    ),
    graph(
        "Reconnects to Envoy Gateway",
        "A rotation shows as one reconnect for each Envoy. More than that: it failed for some.",
        Query(
            'sum by (pod) (increase(envoy_cluster_upstream_cx_total{envoy_cluster_name="xds_cluster",'
            f" {S}}}{R}))",
            "{{pod}}",
        ),
        steps=[(None, GREEN), (3, YELLOW)],
        width=12,
    ),
    graph(
        "TLS handshakes of clients",
        "Handshakes on listeners: done, failed, and client certificates that did not verify.",
        Query(
            f"sum by (envoy_listener_address) (rate(envoy_listener_ssl_handshake{{{S}}}{R}))",
            "done {{envoy_listener_address}}",
        ),
        Query(
            "sum by (envoy_listener_address) "
            f"(rate(envoy_listener_ssl_connection_error{{{S}}}{R}))",
            "failed {{envoy_listener_address}}",
        ),
        Query(
            "sum by (envoy_listener_address) "
            f"(rate(envoy_listener_ssl_fail_verify_error{{{S}}}{R}))",
            "client certificate {{envoy_listener_address}}",
        ),
        unit="ops",
        width=12,
    ),
]

CHECKED = [
    stat_panel(
        "Findings of the last check",
        "What `egops certs check` found, by severity. Run it to read what is wrong.",
        Query(
            "sum by (severity) (egops_certificate_findings) "
            "or max(egops_certificate_check_timestamp_seconds) * 0",
            "{{severity}}",
        ),
        unit="none",
        width=12,
        decimals=0,
        no_value="not set up",
    ),
    stat_panel(
        "Since the last check",
        "How old the numbers of this row are. Run `egops certs check -o prometheus` from a timer.",
        Query("time() - max(egops_certificate_check_timestamp_seconds)"),
        unit="s",
        width=12,
        steps=[(None, GREEN), (86400 * 2, YELLOW), (86400 * 7, RED)],
        no_value="not set up",
    ),
    table_panel(
        "`egops certs check`, last result",
        "Days left as `egops certs check -o prometheus` saw them in the Secrets, where its text file "
        "is scraped (node exporter's textfile collector, with `honorLabels: true`: without it the "
        "namespace is called `exported_namespace`). It sees what no Envoy has loaded yet.",
        Query(
            "sort(min by (namespace, secret, subject) (egops_certificate_expiry_seconds"
            '{namespace=~"$namespace"} - time()) / 86400)'
        ),
        unit="d",
        width=24,
        decimals=1,
        columns={"Value": "Days left"},
        steps=DAYS,
        no_value="not set up",
    ),
]

BOARD = Board(
    uid="egops-certs",
    title="Envoy Gateway / Certificates",
    description="What expires when, and is TLS between the parts of Envoy Gateway in order?",
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
    ],
    annotations=[
        Annotation(
            "Control-plane rotations",
            "sum by (pod) (increase(envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds"
            f'{{envoy_cluster_name="xds_cluster", {S}}}{R})) > 0',
            ORANGE,
        ),
        Annotation(
            "Listener certificates renewed",
            "sum by (pod) (increase(envoy_listener_server_ssl_socket_factory_ssl_context_update_by_sds"
            f"{{{S}}}{R})) > 0",
            YELLOW,
        ),
        Annotation(
            "Envoy Gateway starts",
            'sum by (pod) (time() - process_start_time_seconds{job=~"$job"} < 60 '
            'and on (namespace, pod) watchable_depth{job=~"$job"})',
            GREEN,
            enabled=False,
        ),
    ],
    rows=[
        ("What expires when?", EXPIRY),
        ("Do new certificates arrive?", ROTATION),
        ("Do the parts trust each other?", TRUST),
        ("What do the Secrets say?", CHECKED),
    ],
)
