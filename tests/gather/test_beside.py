"""What lies in a folder beside manifests is passed over with the reason; mistakes are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egops.gatewayapi import ENVOY_GATEWAY, GATEWAY, HELM_VALUES
from egops.gather.beside import CHART, KUSTOMIZATION, OTHER, TEMPLATE, VALUES, recognised
from egops.gather.manifests import load

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY_YAML = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec: {gatewayClassName: eg, listeners: []}
"""
OURS = "config: {envoyGateway: {gateway: {}}}\n"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("Chart.yaml", "apiVersion: v2\nname: app\nversion: 0.1.0\n", CHART),
        ("kustomization.yaml", "resources: [a.yaml]\n", KUSTOMIZATION),
        ("values.yaml", "replicaCount: 2\n", VALUES),
        ("values-prod.yaml", "replicaCount: 2\n", VALUES),
        ("prod.values.yml", "replicaCount: 2\n", VALUES),
        ("docker-compose.yml", "services: {a: {image: x}}\n", OTHER),
        ("package.json", '{"name": "x"}', OTHER),
        ("list.yaml", "- 1\n- 2\n", OTHER),
        ("drone.yaml", "kind: pipeline\nname: default\n", OTHER),
        ("helm.yaml", "kind: Gateway\nmetadata:\n  name: {{ .Release.Name }}\n", TEMPLATE),
        ("quoted.yaml", GATEWAY_YAML.replace("name: edge,", 'name: "{{ .Name }}",'), TEMPLATE),
        (
            "late.yaml",
            "kind: Gateway\nx: {{ .x }}\nspec:\n{{- if .y }}\n  a\n{{- end }}\n",
            TEMPLATE,
        ),
        ("jinja.yaml", "kind: Gateway\nspec:\n{% for a in b %}\n- 1\n{% endfor %}\n", TEMPLATE),
    ],
)
def test_what_lies_beside_manifests_is_passed_over(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "gateway.yaml").write_text(GATEWAY_YAML)

    found = load([str(tmp_path)])

    assert found.broken == []
    assert {why: len(places) for why, places in found.passed_over.items()} == {reason: 1}
    assert [one.name for one in found.resources[GATEWAY]] == ["edge"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Gateway\nmetadata: {name: a}\n", "apiVersion missing"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "kind missing"),
        ("spec: [\n", "expected"),
        ('{\n// no\n"kind": "Gateway"}\n', "JSON with comments"),
        ('{"apiVersion": "v1", /* no */ "kind": "Pod"}\n', "JSON with comments"),
        ("a: 1\nb: 2\na: 3\n", "'a' is given twice: lines 1 and 3"),
        ('{"apiVersion": "v1", "kind": "Pod",\n"kind": "Service"}\n', "lines 1 and 2"),
        ("spec: 1\n# {{ a comment }}\n  x: 2\n", "did not find expected key"),
    ],
)
def test_a_mistake_in_a_folder_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / ("a.json" if text.startswith("{") else "a.yaml")).write_text(text)

    messages = [broken.message for broken in load([str(tmp_path)]).broken]

    assert any(message in one for one in messages), messages


def test_json_with_escapes_is_no_duplicate(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    head = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"'
    file.write_text(head + ', "annotations": {"x": "\\u0022 \\" \\u00e4"}}}')

    assert load([str(file)]).broken == []


def test_a_file_that_was_named_has_to_hold_objects(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {}\n")
    template = tmp_path / "t.yaml"
    template.write_text("kind: {{ x }}\n")

    found = load([str(file), str(template)])

    assert found.passed_over == {}
    assert ["no Kubernetes object" in found.broken[0].message, found.broken[1].message] == [
        True,
        TEMPLATE,
    ]


def test_an_umbrella_chart_tells_where_our_values_are(tmp_path: Path) -> None:
    chart = "apiVersion: v2\nname: app\ndependencies: [{name: gateway-helm, alias: edge}]\n"
    (tmp_path / "Chart.yaml").write_text(chart)
    (tmp_path / "values.yaml").write_text("replicas: 1\nedge:\n  deployment: {replicas: 2}\n")

    (values,) = load([str(tmp_path)]).resources[HELM_VALUES]

    assert values.body["values"] == {"deployment": {"replicas": 2}}
    assert values.at("values", "deployment").line == 3


def test_values_of_an_umbrella_of_umbrellas_are_found(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("platform:\n  ingress:\n    " + OURS)

    found = load([str(tmp_path)])

    assert [one.name for one in found.resources[HELM_VALUES]] == ["values.yaml/platform/ingress"]
    assert len(found.resources[ENVOY_GATEWAY]) == 1


@pytest.mark.parametrize("place", ["source", "sources"])
def test_values_of_an_application_are_found(tmp_path: Path, place: str) -> None:
    source = "chart: gateway-helm, targetRevision: v1.3.0"
    helm = "helm: {valuesObject: {deployment: {replicas: 2}}}"
    body = f"{{repoURL: docker.io/envoyproxy, {source}, {helm}}}"
    spec = f"source: {body}" if place == "source" else f"sources: [{{repoURL: x}}, {body}]"
    text = f"kind: Application\nmetadata: {{name: eg, namespace: argocd}}\nspec: {{{spec}}}\n"
    (tmp_path / "app.yaml").write_text("apiVersion: argoproj.io/v1alpha1\n" + text)

    (values,) = load([str(tmp_path)]).resources[HELM_VALUES]

    assert values.body["values"] == {"deployment": {"replicas": 2}}


def test_a_chart_file_that_was_named_is_passed_over_as_well() -> None:
    assert recognised("charts/app/Chart.yaml", {"name": "app"}, is_named=True) == CHART
    assert recognised("a.yaml", {"name": "app"}, is_named=True) == ""
