"""Alerts about certificates: expiry, reloads, and the Job that makes Envoy Gateway's own."""

from __future__ import annotations

from egops.monitoring.catalogue import Alert, Group, Severity

_FIRST = "min by (namespace, pod) (envoy_server_days_until_first_cert_expiring{<match>})"
_LINK = (
    "min by (namespace, envoy_cluster_name, envoy_tls_certificate) "
    "(envoy_cluster_ssl_certificate_expiration_unix_time_seconds"
    '{envoy_cluster_name=~"xds_cluster|ratelimit_cluster|wasm_cluster",<match>}) - time()'
)


def _expiring(name: str, days: str, severity: Severity, *, default: bool) -> Alert:
    return Alert(
        name=name,
        expr=f"{_FIRST} < <{days}>",
        hold="1h",
        severity=severity,
        summary="A certificate in use expires soon",
        description=(
            "The first certificate of {{ $labels.namespace }}/{{ $labels.pod }} expires in "
            "{{ $value }} days. It may be a user's, a backend's CA or Envoy Gateway's own: "
            "`egops certs check` says which."
        ),
        code="EGD-402",
        default=default,
    )


def _link_expiring(name: str, days: str, severity: Severity) -> Alert:
    return Alert(
        name=name,
        expr=f"{_LINK} < <{days}> * 86400",
        hold="1h",
        severity=severity,
        summary="A control-plane certificate expires soon",
        description=(
            "{{ $labels.envoy_tls_certificate }} of {{ $labels.envoy_cluster_name }} in namespace "
            "{{ $labels.namespace }} expires in {{ $value | humanizeDuration }}. Envoy Gateway "
            "does not renew it: `egops certs rotate`."
        ),
        code="EGD-407",
        needs="Envoy 1.36 or later",
    )


def _reload_failed() -> str:
    """Return the alert's expression in both spellings: up to 1.3 the Secret is in the name."""
    named = (
        "(sum by (namespace, pod, envoy_xds_resource_name) "
        "(increase(envoy_sds_key_rotation_failed{<match>}[15m])) > 0)"
    )
    old = [
        "label_replace(sum by (namespace, pod) (increase("
        f"envoy_sds_{secret}_key_rotation_failed{{<match>}}[15m])) > 0, "
        f'"envoy_xds_resource_name", "{secret}", "", "")'
        for secret in ("xds_certificate", "xds_trusted_ca")
    ]
    return "\nor\n".join([named, *old])


CERTIFICATES = Group(
    name="egops-certificates",
    interval="1m",
    rules=(
        Alert(
            name="EnvoyCertReloadFailed",
            expr=_reload_failed(),
            hold="0s",
            severity="critical",
            summary="An Envoy could not load a renewed certificate",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} could not load "
                "{{ $labels.envoy_xds_resource_name }} from disk and goes on with the old one, "
                "until that expires."
            ),
            code="EGD-406",
            default=True,
        ),
        _expiring("EnvoyCertExpiringSoon", "certificates.warning_days", "warning", default=True),
        _expiring(
            "EnvoyCertExpiryCritical", "certificates.critical_days", "critical", default=True
        ),
        _link_expiring("EnvoyXdsCertExpiring", "certificates.warning_days", "warning"),
        _link_expiring("EnvoyXdsCertExpiryCritical", "certificates.critical_days", "critical"),
        Alert(
            name="EnvoyGatewayCertgenFailed",
            expr=(
                "max by (namespace, job_name) "
                '(kube_job_status_failed{job_name=~".*certgen.*",<match>}) > 0'
            ),
            hold="5m",
            severity="warning",
            summary="The Job that makes Envoy Gateway's certificates failed",
            description=(
                "Job {{ $labels.namespace }}/{{ $labels.job_name }} failed: Secrets may be "
                "missing or old."
            ),
            code="EGD-101",
            needs="kube-state-metrics",
        ),
    ),
)
