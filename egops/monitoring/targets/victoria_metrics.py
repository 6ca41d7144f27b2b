"""Rules as a VMRule for the operator of VictoriaMetrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.apply import Api
from egops.errors import InputError
from egops.monitoring.targets import prometheus_operator
from egops.monitoring.targets.prometheus_operator import Family

if TYPE_CHECKING:
    from egops.apply import Cluster
    from egops.monitoring.targets.kubernetes import KubernetesTarget

VICTORIA_METRICS = Family(
    Api("operator.victoriametrics.com/v1beta1", "VMRule", "vmrules"),
    Api("operator.victoriametrics.com/v1beta1", "VMAlert", "vmalerts"),
    "operator of VictoriaMetrics",
    nil_selects_all="selectAllByDefault",
)


def target(cluster: Cluster, *, namespace: str = "", wanted: str = "") -> KubernetesTarget:
    """Return the target that the live VMAlert selects.

    Raises InputError when a PrometheusRule of ours is there: the operator would convert it, and
    every alert would fire twice.
    """
    rules = cluster.list(
        prometheus_operator.PROMETHEUS.rule, labels="app.kubernetes.io/managed-by=egops"
    )
    if rules:
        raise InputError(
            "a PrometheusRule of egops is there, which the operator of VictoriaMetrics converts",
            hint="first: egops alerts uninstall --to prometheus-operator",
        )
    return prometheus_operator.target(
        cluster, namespace=namespace, wanted=wanted, family=VICTORIA_METRICS
    )
