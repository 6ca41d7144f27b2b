"""Alerts about the link between Envoy Gateway and Envoys, and about what Envoys accept."""

from __future__ import annotations

from egops.monitoring.catalogue import Alert, Group, first_or_more

_POD = "namespace, pod"
_LINKS = 'envoy_cluster_name=~"xds_cluster|ratelimit_cluster|wasm_cluster",<match>'
_REJECTED = {
    "listeners": "envoy_listener_manager_lds_update_rejected",
    "clusters": "envoy_cluster_manager_cds_update_rejected",
    "routes": "envoy_http_rds_update_rejected",
    "endpoints": "envoy_cluster_update_rejected",
}


def _typed(expr: str, kind: str) -> str:
    return f'label_replace({expr} > 0, "type", "{kind}", "", "")'


def _rejected() -> str:
    terms = [
        _typed(f"sum by ({_POD}) (increase({metric}{{<match>}}[<rejected.window>]))", kind)
        for kind, metric in _REJECTED.items()
    ]
    # up to 1.3 the Secret's name is part of the metric's name, so that increase() over all of
    # them would meet equal labels: sum first, then ask for the growth of the sum
    secrets = f'sum by ({_POD}) ({{__name__=~"envoy_sds_(.+_)?update_rejected",<match>}})'
    terms.append(_typed(f"increase(({secrets})[<rejected.window>:30s])", "secrets"))
    return "\nor\n".join(terms)


def _snapshot_errors() -> str:
    terms = [
        first_or_more(metric, "namespace", "15m", 'status="failure"')
        for metric in ("xds_snapshot_create_total", "xds_snapshot_update_total")
    ]
    return "\nor\n".join(terms)


def _tls_errors() -> str:
    by = "namespace, pod, envoy_cluster_name"
    terms = [
        f"(sum by ({by}) (increase(envoy_cluster_ssl_{stat}{{{_LINKS}}}[5m])) > 0)"
        for stat in ("fail_verify_error", "fail_verify_san", "connection_error")
    ]
    return "\nor\n".join(terms)


XDS = Group(
    name="egops-xds",
    rules=(
        Alert(
            name="EnvoyGatewayXdsSnapshotErrors",
            expr=_snapshot_errors(),
            hold="0s",
            severity="critical",
            summary="Envoy Gateway could not build or hand out a snapshot",
            description=(
                "A snapshot failed in namespace {{ $labels.namespace }}: it is inconsistent, and "
                "Envoys keep what they have."
            ),
            code="EGD-142",
        ),
        Alert(
            name="EnvoyProxyXdsRejected",
            expr=_rejected(),
            hold="0s",
            severity="critical",
            summary="An Envoy refused its configuration",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} refused an update of its "
                "{{ $labels.type }} and goes on with the old ones. A restarted pod would fail."
            ),
            code="EGD-441",
            default=True,
        ),
        Alert(
            name="EnvoyGatewayXdsNack",
            expr=first_or_more("xds_nack_total", "namespace, nodeID, typeURL", "<rejected.window>"),
            hold="0s",
            severity="critical",
            summary="An Envoy refused what Envoy Gateway sent",
            description=(
                "{{ $labels.nodeID }} refused resources of type {{ $labels.typeURL }} and goes on "
                "with the old ones. A restarted pod would fail."
            ),
            code="EGD-441",
            default=True,
            since="1.9",
        ),
        Alert(
            name="EnvoyProxyDisconnected",
            expr=f"max by ({_POD}) (envoy_control_plane_connected_state{{<match>}}) == 0",
            hold="5m",
            severity="warning",
            summary="An Envoy has lost Envoy Gateway",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} has had no stream to Envoy Gateway for "
                "5 minutes: it serves its last configuration, endpoints included."
            ),
            code="EGD-440",
            default=True,
        ),
        Alert(
            name="EnvoyProxyFleetDisconnected",
            expr=(
                "1 - avg by (namespace) (max by (namespace, pod) "
                "(envoy_control_plane_connected_state{<match>})) > <disconnected.share>"
            ),
            hold="2m",
            severity="critical",
            summary="Most Envoys have lost Envoy Gateway",
            description=(
                "{{ $value | humanizePercentage }} of the Envoys in namespace "
                "{{ $labels.namespace }} have no stream to Envoy Gateway: it is down, or its "
                "certificate is not trusted."
            ),
            code="EGD-440",
            default=True,
        ),
        Alert(
            name="EnvoyProxyStuckInitializing",
            expr=f"max by ({_POD}) (envoy_server_state{{<match>}}) >= 2",
            hold="5m",
            severity="critical",
            summary="An Envoy does not become live",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} has waited 5 minutes for its first "
                "configuration and serves nothing."
            ),
            code="EGD-453",
        ),
        Alert(
            name="EnvoyControlPlaneTlsVerifyFailing",
            expr=_tls_errors(),
            hold="2m",
            severity="critical",
            summary="TLS between an Envoy and the control plane fails",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} cannot trust {{ $labels."
                "envoy_cluster_name }}. After a rotation this shows hours later, with the first "
                "reconnect."
            ),
            code="EGD-408",
            default=True,
        ),
    ),
)
