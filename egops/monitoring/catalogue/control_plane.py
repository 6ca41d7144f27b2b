"""Alerts about Envoy Gateway itself: panics, crashes, leadership, failing writes."""

from __future__ import annotations

from egops.monitoring.catalogue import Alert, Group, Record, first_or_more

LEASE = 'name="<lease>",<match>'
_PANICS = "watchable_panics_recovered_total"
_BY = "namespace, runner, message"
_SUCCESS = 'status="success"'


def _last_rise(record: str, metric: str, selector: str = "") -> Record:
    """Return a rule that keeps the Unix time at which a counter of a runner rose last.

    It reads its own last value, which is cheaper by far than looking back over hours; six hours
    after the rise it lets go, so that a runner that a new release renamed is forgotten.
    """
    braces = f"{{{selector},<match>}}" if selector else "{<match>}"
    rose = (
        f"(sum by ({_BY}) (increase({metric}{braces}[2m])) > 0)\n"
        f"  or sum by ({_BY}) ({metric}{braces} unless {metric}{braces} offset 2m)"
    )
    return Record(
        name=record,
        expr=f"time() + 0 * (\n  {rose}\n)\nor\n(last_over_time({record}[10m]) > time() - 21600)",
    )


_LAST_PANIC = "runner:watchable_panics_recovered:last_time_seconds"
_LAST_SUCCESS = "runner:watchable_subscribe_success:last_time_seconds"

CONTROL_PLANE = Group(
    name="egops-control-plane",
    rules=(
        Alert(
            name="EnvoyGatewayPanicRecovered",
            expr=first_or_more(_PANICS, _BY, "<panic.window>"),
            hold="0s",
            severity="warning",
            summary="Envoy Gateway lost an update to a panic",
            description=(
                "Runner {{ $labels.runner }} in namespace {{ $labels.namespace }} panicked while "
                "it handled {{ $labels.message }}. The update is lost, the old configuration "
                "stays, and everything still looks healthy."
            ),
            code="EGD-141",
            default=True,
            since="1.3",
        ),
        Alert(
            name="EnvoyGatewayPanicLoop",
            expr=(
                f"sum by (namespace, runner) (increase({_PANICS}{{<match>}}[<panic.window>])) "
                "> <panic.loop>"
            ),
            hold="5m",
            severity="critical",
            summary="Envoy Gateway panics again and again; its configuration is frozen",
            description=(
                "Runner {{ $labels.runner }} in namespace {{ $labels.namespace }} panicked "
                "{{ $value | humanize }} times within <panic.window>. No change reaches any Envoy. "
                "Do not restart Envoys: they would lose the last good configuration."
            ),
            code="EGD-141",
            default=True,
            since="1.3",
        ),
        _last_rise(_LAST_PANIC, _PANICS),
        _last_rise(_LAST_SUCCESS, "watchable_subscribe_total", _SUCCESS),
        Alert(
            name="EnvoyGatewayConfigFrozen",
            # NOTE: on a quiet cluster one panic freezes the configuration and nothing counts any
            # more, so neither of the two alerts above stays; the order of the last panic and the
            # last success tells it.
            expr=(
                f"({_LAST_PANIC} > on ({_BY}) {_LAST_SUCCESS})\n"
                "or\n"
                f"({_LAST_PANIC} unless on ({_BY}) {_LAST_SUCCESS})"
            ),
            hold="5m",
            severity="critical",
            summary="Envoy Gateway has not handled an update since its last panic",
            description=(
                "Runner {{ $labels.runner }} in namespace {{ $labels.namespace }} panicked on "
                "{{ $labels.message }} and has not succeeded since: what was changed last is not "
                "in force, and neither is anything changed after it."
            ),
            code="EGD-142",
            default=True,
            since="1.3",
        ),
        Alert(
            name="EnvoyGatewayReconcilePanic",
            expr=(
                "sum by (namespace) (increase(controller_runtime_reconcile_panics_total"
                '{controller=~"gatewayapi-.+",<match>}[<panic.window>])) > 0'
            ),
            hold="0s",
            severity="warning",
            summary="Envoy Gateway panicked while it read from the API server",
            description=(
                "A reconcile in namespace {{ $labels.namespace }} panicked. The object that "
                "caused it is not taken into account."
            ),
            code="EGD-141",
        ),
        Alert(
            name="EnvoyGatewayCrashLooping",
            expr=(
                "(max by (namespace, pod) (max_over_time(kube_pod_container_status_waiting_reason"
                '{reason="CrashLoopBackOff",container="<container>",<match>}[5m])) >= 1)\n'
                "or\n"
                "(max by (namespace, pod) (increase(kube_pod_container_status_restarts_total"
                '{container="<container>",<match>}[<restarts.window>])) > <restarts.count>)'
            ),
            hold="2m",
            severity="critical",
            summary="Envoy Gateway is crash-looping",
            description=(
                "Pod {{ $labels.namespace }}/{{ $labels.pod }} restarts again and again. Running "
                "Envoys keep their configuration; new ones get none. Exit code 2 is a Go panic."
            ),
            code="EGD-140",
            default=True,
            needs="kube-state-metrics",
        ),
        Alert(
            name="EnvoyGatewayOOMKilled",
            expr=(
                "(max by (namespace, pod, container) "
                '(kube_pod_container_status_last_terminated_reason{reason="OOMKilled",'
                'container=~"<container>|envoy|envoy-ratelimit",<match>}) == 1)\n'
                "and on (namespace, pod, container)\n"
                "(max by (namespace, pod, container) "
                "(increase(kube_pod_container_status_restarts_total{<match>}"
                "[<restarts.window>])) > 0)"
            ),
            hold="0s",
            severity="warning",
            summary="A container of Envoy Gateway ran out of memory",
            description=(
                "Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} "
                "was killed for memory and restarted within <restarts.window>."
            ),
            code="EGD-140",
            needs="kube-state-metrics",
        ),
        Alert(
            name="EnvoyGatewayNoReadyReplica",
            expr=(
                "max by (namespace) (kube_deployment_status_replicas_ready"
                '{deployment="<deployment>",<match>}) == 0'
            ),
            hold="3m",
            severity="critical",
            summary="No replica of Envoy Gateway is ready",
            description=(
                "Deployment {{ $labels.namespace }}/<deployment> has no ready pod: no change is "
                "translated, and Envoys that start now get no configuration."
            ),
            code="EGD-100",
            default=True,
            needs="kube-state-metrics",
        ),
        Alert(
            name="EnvoyGatewayMetricsAbsent",
            # watchable_depth has no value worth reading, but every replica exports it from birth
            expr="absent(watchable_depth{<match>} or watchable_subscribe_total{<match>})",
            hold="10m",
            severity="warning",
            summary="No metrics of Envoy Gateway arrive",
            description=(
                "Nothing scrapes port 19001 of Envoy Gateway, or it is gone: every other alert "
                "about it is blind."
            ),
            code="EGD-100",
        ),
        Alert(
            name="EnvoyGatewayNoLeader",
            expr=f"sum by (namespace) (leader_election_master_status{{{LEASE}}}) == 0",
            hold="2m",
            severity="critical",
            summary="No replica of Envoy Gateway leads",
            description=(
                "No replica in namespace {{ $labels.namespace }} holds the lease <lease>: no "
                "status is written and no proxy infrastructure changes."
            ),
            code="EGD-143",
            default=True,
        ),
        Alert(
            name="EnvoyGatewayRunnerErrors",
            expr=(
                f"sum by ({_BY}) "
                '(rate(watchable_subscribe_total{status="failure",<match>}[5m])) > 0'
            ),
            hold="15m",
            severity="warning",
            summary="Envoy Gateway keeps failing to handle updates",
            description=(
                "Runner {{ $labels.runner }} in namespace {{ $labels.namespace }} has failed on "
                "{{ $labels.message }} for 15 minutes."
            ),
            code="EGD-142",
        ),
        Alert(
            name="EnvoyGatewayStatusUpdateErrors",
            expr=(
                "sum by (namespace, kind) (rate(status_update_total"
                '{status="failure",reason="error",<match>}[5m])) > 0'
            ),
            hold="15m",
            severity="warning",
            summary="Envoy Gateway cannot write the status of an object",
            description=(
                "Status writes of kind {{ $labels.kind }} have failed for 15 minutes, conflicts "
                "not counted; conditions of these objects are out of date."
            ),
            code="EGD-144",
        ),
        Alert(
            name="EnvoyGatewayInfraApplyErrors",
            expr=(
                'sum by (kind, name) (rate(resource_apply_total{status="failure",<match>}[5m])) > 0'
            ),
            hold="15m",
            severity="critical",
            summary="Envoy Gateway cannot apply a proxy's infrastructure",
            description=(
                "{{ $labels.kind }} {{ $labels.name }} could not be applied for 15 minutes: new "
                "listeners and settings of that proxy are not in force."
            ),
            code="EGD-146",
            default=True,
        ),
    ),
)
