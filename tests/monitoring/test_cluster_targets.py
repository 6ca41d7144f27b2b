"""ConfigMaps, GrafanaDashboards, PrometheusRules and VMRules, against a cluster in memory."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from egops.errors import InputError
from egops.monitoring.install import RefusedError, alerts_content, boards_content, carry_out
from egops.monitoring.targets import selectors
from egops.monitoring.targets.choice import TargetOptions, choose, detect
from egops.monitoring.values import values
from egops.plan import Action
from tests.monitoring.clusters import MemoryCluster

if TYPE_CHECKING:
    from egops.monitoring.targets import Content
    from egops.plan import Plan

BOARDS = boards_content(())
ALERTS = alerts_content(values(), "default")
NAME = "egops-envoy-gateway"


def cluster_with_sidecar(**env: str) -> MemoryCluster:
    cluster = MemoryCluster({"ConfigMap", "Deployment"})
    variables = {"LABEL": "grafana_dashboard", "LABEL_VALUE": "1", "NAMESPACE": "ALL"} | env
    container = {
        "name": "grafana-sc-dashboard",
        "env": [{"name": key, "value": value} for key, value in variables.items()],
    }
    template = {"spec": {"containers": [container, {"name": "grafana"}]}}
    cluster.put("Deployment", "monitoring", "grafana", spec={"template": template})
    return cluster


def cluster_with_prometheus(**specs: dict[str, Any]) -> MemoryCluster:
    cluster = MemoryCluster({"Prometheus", "PrometheusRule", "Namespace"})
    for namespace in ("monitoring", "envoy-gateway-system"):
        labels = {"metadata": {"labels": {"kubernetes.io/metadata.name": namespace}}}
        cluster.put("Namespace", "", namespace, **labels)
    for name, spec in specs.items():
        cluster.put("Prometheus", "monitoring", name, spec=spec)
    return cluster


def install(
    cluster: MemoryCluster, content: Content, to: str, *, overwrite: bool = False, **more: Any
) -> Plan:
    at = choose(content.what, TargetOptions(to=to, **more), cluster)
    plan = at.plan(content, overwrite=overwrite)
    list(carry_out(at, plan, overwrite=overwrite, dry_run=False))
    return plan


def uninstall(cluster: MemoryCluster, content: Content, to: str) -> None:
    at = choose(content.what, TargetOptions(to=to), cluster)
    list(carry_out(at, at.removal(content.what), overwrite=False, dry_run=False))


def kinds(plan: Plan) -> set[Action]:
    return {change.action for change in plan.changes}


def test_config_maps_carry_what_the_sidecar_watches() -> None:
    cluster = cluster_with_sidecar(
        LABEL="boards", LABEL_VALUE="yes", FOLDER="/tmp/dashboards", FOLDER_ANNOTATION="folder"
    )

    install(cluster, BOARDS, "sidecar")

    made = cluster.objects["ConfigMap", "monitoring", "egops-xds"]
    assert made["metadata"]["labels"]["boards"] == "yes"
    assert made["metadata"]["annotations"]["folder"] == "Envoy Gateway"
    assert list(made["data"]) == ["egops-xds.json"]


def test_a_second_installation_applies_nothing() -> None:
    cluster = cluster_with_sidecar()
    install(cluster, BOARDS, "sidecar")
    before = list(cluster.writes)

    plan = install(cluster, BOARDS, "sidecar")

    assert kinds(plan) == {Action.NONE}
    assert cluster.writes == before


def test_a_board_that_is_no_longer_shipped_is_removed_and_a_named_one_removes_none() -> None:
    cluster = cluster_with_sidecar()
    install(cluster, BOARDS, "sidecar")
    old = dict(cluster.objects["ConfigMap", "monitoring", "egops-xds"])
    old["metadata"] = old["metadata"] | {"name": "egops-old"}
    cluster.objects["ConfigMap", "monitoring", "egops-old"] = old

    install(cluster, boards_content(("xds",)), "sidecar")
    assert ("ConfigMap", "monitoring", "egops-old") in cluster.objects

    install(cluster, BOARDS, "sidecar")
    assert ("ConfigMap", "monitoring", "egops-old") not in cluster.objects


def test_an_edited_object_is_refused_and_overwritten_only_when_asked() -> None:
    cluster = cluster_with_sidecar()
    install(cluster, BOARDS, "sidecar")
    cluster.edit("ConfigMap", "monitoring", "egops-xds", data={"egops-xds.json": "{}"})

    with pytest.raises(RefusedError, match="somebody edited it since egops wrote it"):
        install(cluster, BOARDS, "sidecar")

    install(cluster, BOARDS, "sidecar", overwrite=True)
    made = cluster.objects["ConfigMap", "monitoring", "egops-xds"]
    assert made["data"]["egops-xds.json"] != "{}"


def test_an_object_of_somebody_else_is_refused() -> None:
    cluster = cluster_with_sidecar()
    cluster.put("ConfigMap", "monitoring", "egops-xds", data={"a": "b"})

    with pytest.raises(RefusedError, match="was not made by egops"):
        install(cluster, BOARDS, "sidecar")

    assert cluster.writes == []


def test_uninstalling_removes_only_ours() -> None:
    cluster = cluster_with_sidecar()
    cluster.put("ConfigMap", "monitoring", "theirs", data={})
    install(cluster, BOARDS, "sidecar")

    uninstall(cluster, BOARDS, "sidecar")

    left = [key for key in cluster.objects if key[0] == "ConfigMap"]
    assert left == [("ConfigMap", "monitoring", "theirs")]


def test_no_sidecar_is_explained() -> None:
    with pytest.raises(InputError, match="no Grafana sidecar was found"):
        install(MemoryCluster({"ConfigMap", "Deployment"}), BOARDS, "sidecar")


def test_a_sidecar_for_data_sources_is_not_one_for_dashboards() -> None:
    cluster = cluster_with_sidecar(LABEL="grafana_datasource")
    containers = cluster.objects["Deployment", "monitoring", "grafana"]["spec"]["template"]["spec"]
    containers["containers"][0]["name"] = "grafana-sc-datasources"

    with pytest.raises(InputError, match="no Grafana sidecar was found"):
        install(cluster, BOARDS, "sidecar")


def test_a_namespace_that_the_sidecar_does_not_look_into_is_refused() -> None:
    cluster = cluster_with_sidecar(NAMESPACE="monitoring,boards")

    with pytest.raises(InputError, match="does not look into namespace other"):
        install(cluster, BOARDS, "sidecar", namespace="other")

    install(cluster, BOARDS, "sidecar", namespace="boards")


def test_sidecars_with_different_labels_have_to_be_chosen_from() -> None:
    cluster = cluster_with_sidecar()
    second = cluster_with_sidecar(LABEL="other_dashboard").objects[
        "Deployment", "monitoring", "grafana"
    ]
    second["metadata"] = {"namespace": "team", "name": "grafana"}
    cluster.objects["Deployment", "team", "grafana"] = second

    with pytest.raises(InputError, match="several sidecars watch different labels"):
        install(cluster, BOARDS, "sidecar")

    install(cluster, BOARDS, "sidecar", label="other_dashboard=1", namespace="team")


def test_grafana_dashboards_select_the_grafana_that_is_there() -> None:
    cluster = MemoryCluster({"GrafanaDashboard"})
    cluster.put("Grafana", "grafana", "main", metadata={"labels": {"dashboards": "main"}})

    install(cluster, BOARDS, "grafana-operator", namespace="boards")

    spec = cluster.objects["GrafanaDashboard", "boards", "egops-xds"]["spec"]
    assert spec["instanceSelector"] == {"matchLabels": {"dashboards": "main"}}
    assert spec["allowCrossNamespaceImport"] is True
    assert spec["folder"] == "Envoy Gateway"


def test_a_grafana_without_labels_cannot_be_selected() -> None:
    cluster = MemoryCluster({"GrafanaDashboard"})
    cluster.put("Grafana", "grafana", "main")

    with pytest.raises(InputError, match="Grafana main has no labels"):
        install(cluster, BOARDS, "grafana-operator")


def test_a_prometheus_rule_carries_what_prometheus_selects() -> None:
    cluster = cluster_with_prometheus(
        stack={
            "ruleSelector": {
                "matchLabels": {"release": "kube-prometheus-stack"},
                "matchExpressions": [
                    {"key": "role", "operator": "In", "values": ["alerts", "rules"]},
                    {"key": "tier", "operator": "Exists"},
                    {"key": "draft", "operator": "DoesNotExist"},
                ],
            },
            "ruleNamespaceSelector": {},
        }
    )

    install(cluster, ALERTS, "prometheus-operator", namespace="envoy-gateway-system")

    made = cluster.objects["PrometheusRule", "envoy-gateway-system", NAME]
    labels = made["metadata"]["labels"]
    assert labels["release"] == "kube-prometheus-stack"
    assert labels["role"] == "alerts"
    assert "tier" in labels
    assert made["spec"]["groups"] == ALERTS.groups


def test_without_a_namespace_selector_the_rule_goes_where_prometheus_is() -> None:
    cluster = cluster_with_prometheus(stack={"ruleSelector": {}})

    install(cluster, ALERTS, "prometheus-operator")

    assert ("PrometheusRule", "monitoring", NAME) in cluster.objects
    with pytest.raises(InputError, match="does not load rules from namespace other"):
        install(cluster, ALERTS, "prometheus-operator", namespace="other")


def test_a_prometheus_that_selects_no_rules_is_explained() -> None:
    with pytest.raises(InputError, match="has no ruleSelector, so it loads no rule objects"):
        install(cluster_with_prometheus(stack={}), ALERTS, "prometheus-operator")


def test_two_prometheuses_with_selectors_that_clash_have_to_be_chosen_from() -> None:
    cluster = cluster_with_prometheus(
        one={"ruleSelector": {"matchLabels": {"release": "a"}}},
        two={"ruleSelector": {"matchLabels": {"release": "b"}}},
    )

    with pytest.raises(InputError, match="select rules by different values of release"):
        install(cluster, ALERTS, "prometheus-operator")

    install(cluster, ALERTS, "prometheus-operator", evaluator="two")
    assert cluster.objects["PrometheusRule", "monitoring", NAME]["metadata"]["labels"][
        "release"
    ] == "b"  # fmt: skip


def test_two_prometheuses_whose_selectors_agree_get_one_rule() -> None:
    cluster = cluster_with_prometheus(
        one={"ruleSelector": {"matchLabels": {"release": "a"}}},
        two={"ruleSelector": {"matchLabels": {"team": "edge"}}},
    )

    install(cluster, ALERTS, "prometheus-operator")

    labels = cluster.objects["PrometheusRule", "monitoring", NAME]["metadata"]["labels"]
    assert (labels["release"], labels["team"]) == ("a", "edge")


def test_a_cluster_without_the_operator_is_explained() -> None:
    with pytest.raises(InputError, match="no prometheus-operator: its CRDs are missing"):
        install(MemoryCluster(), ALERTS, "prometheus-operator")


def test_a_vm_rule_is_made_for_a_vm_alert_that_selects_all_by_default() -> None:
    cluster = MemoryCluster({"VMRule", "Namespace"})
    cluster.put("VMAlert", "vm", "main", spec={"selectAllByDefault": True})

    install(cluster, ALERTS, "victoria-metrics")

    assert cluster.objects["VMRule", "vm", NAME]["spec"]["groups"] == ALERTS.groups


def test_empty_fields_that_the_server_added_are_no_difference_and_a_label_is() -> None:
    cluster = MemoryCluster({"VMRule", "Namespace"})
    cluster.put("VMAlert", "vm", "main", spec={"selectAllByDefault": True})
    install(cluster, ALERTS, "victoria-metrics")
    spec = copy.deepcopy(cluster.objects["VMRule", "vm", NAME]["spec"])
    for group in spec["groups"]:
        for rule in group["rules"]:
            rule["record" if "alert" in rule else "alert"] = ""
    cluster.objects["VMRule", "vm", NAME]["spec"] = spec

    assert kinds(install(cluster, ALERTS, "victoria-metrics")) == {Action.NONE}

    spec["groups"][0]["rules"][0]["labels"]["mine"] = "yes"
    assert kinds(install(cluster, ALERTS, "victoria-metrics")) == {Action.UPDATE}


def test_a_vm_rule_beside_our_prometheus_rule_is_refused() -> None:
    cluster = cluster_with_prometheus(stack={"ruleSelector": {}})
    cluster.put("VMAlert", "vm", "main", spec={"selectAllByDefault": True})
    install(cluster, ALERTS, "prometheus-operator")

    with pytest.raises(InputError, match="converts"):
        install(cluster, ALERTS, "victoria-metrics")


def test_auto_takes_what_the_cluster_has() -> None:
    both = cluster_with_sidecar()
    both.put("Grafana", "grafana", "main")
    victoria = MemoryCluster({"VMRule"})
    victoria.put("VMAlert", "vm", "main", spec={})

    assert detect("dashboards", cluster_with_sidecar()) == "sidecar"
    assert detect("dashboards", both) == "grafana-operator"
    assert detect("alerts", cluster_with_prometheus(stack={})) == "prometheus-operator"
    assert detect("alerts", victoria) == "victoria-metrics"
    with pytest.raises(InputError, match="no grafana-operator and no Grafana sidecar"):
        detect("dashboards", MemoryCluster())
    with pytest.raises(InputError, match="no Prometheus or VMAlert object"):
        detect("alerts", MemoryCluster())


@pytest.mark.parametrize(
    ("selector", "labels", "picked"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        (
            {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]},
            {"a": "b"},
            False,
        ),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Nonsense"}]}, {}, False),
    ],
)
def test_a_selector_picks_as_kubernetes_does(
    selector: dict[str, Any], labels: dict[str, str], picked: bool
) -> None:
    assert selectors.matches(selector, labels) is picked


def test_a_selector_that_contradicts_itself_has_no_labels() -> None:
    selector = {
        "matchLabels": {"a": "b"},
        "matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}],
    }

    assert selectors.satisfying(selector) is None
