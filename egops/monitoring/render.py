"""Boards and rules as text for people who install them by other means: files, GitOps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from egops.errors import InputError
from egops.monitoring.rulefile import rule_file, to_yaml
from egops.monitoring.rules import rule_groups
from egops.monitoring.shipped import boards
from egops.monitoring.targets import FOLDER, ownership, pretty

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.monitoring.rules import Profile
    from egops.monitoring.values import Values


def board_text(names: tuple[str, ...]) -> str:
    """Return one board as Grafana's JSON, several as a list."""
    chosen = list(boards(names).values())
    return pretty(chosen[0]) if len(chosen) == 1 else json.dumps(chosen, indent=2, sort_keys=True)


def board_objects(names: tuple[str, ...], kind: str, namespace: str, label: str) -> str:
    """Return ConfigMaps or GrafanaDashboards as a stream of YAML documents."""
    labels = _labels([label])
    documents = []
    body: dict[str, Any]
    for name, board in boards(names).items():
        file = f"egops-{name}.json"
        if kind == "sidecar":
            head, extra = ("v1", "ConfigMap"), labels
            body = {"data": {file: pretty(board)}}
        else:
            spec: dict[str, Any] = {"instanceSelector": {"matchLabels": labels}, "folder": FOLDER}
            head = ("grafana.integreatly.org/v1beta1", "GrafanaDashboard")
            body, extra = {"spec": spec | {"json": pretty(board)}}, {}
        documents.append(_object(head, f"egops-{name}", namespace, "dashboards", body, extra))
    return "---\n".join(to_yaml(document) for document in documents)


def rule_text(values: Values, profile: Profile) -> str:
    """Return the rules as a Prometheus rule file."""
    return rule_file(rule_groups(values, profile=profile))


def rule_object(
    values: Values, profile: Profile, kind: str, namespace: str, labels: Iterable[str]
) -> str:
    """Return the rules as a PrometheusRule or a VMRule."""
    head = {
        "prometheus-operator": ("monitoring.coreos.com/v1", "PrometheusRule"),
        "victoria-metrics": ("operator.victoriametrics.com/v1beta1", "VMRule"),
    }[kind]
    body = {"spec": {"groups": rule_groups(values, profile=profile)}}
    extra = _labels(labels)
    return to_yaml(_object(head, "egops-envoy-gateway", namespace, "alerts", body, extra))


def _object(
    head: tuple[str, str],
    name: str,
    namespace: str,
    what: Any,
    body: dict[str, Any],
    extra: dict[str, str],
) -> dict[str, Any]:
    labels, annotations = ownership(what, body)
    meta = {"name": name, "namespace": namespace, "labels": extra | labels}
    meta["annotations"] = annotations
    return {"apiVersion": head[0], "kind": head[1], "metadata": meta, **body}


def _labels(given: Iterable[str]) -> dict[str, str]:
    labels = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise InputError(f"{one!r} is not a label KEY=VALUE")
        labels[key] = value
    return labels
