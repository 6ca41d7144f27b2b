"""Boards and rules as text for people who install them by other means: files, GitOps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egops.errors import AccessError, InputError
from egops.monitoring.rulefile import rule_file, to_yaml
from egops.monitoring.rules import rule_groups
from egops.monitoring.runbook import RUNBOOKS
from egops.monitoring.shipped import boards, runbooks
from egops.monitoring.targets import FOLDER, ownership, pretty

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egops.monitoring.rules import Profile
    from egops.monitoring.values import Values


def board_text(names: tuple[str, ...], *, runbooks_at: str = RUNBOOKS) -> str:
    """Return one board as Grafana's JSON, several as a list."""
    chosen = list(boards(names, runbooks_at=runbooks_at).values())
    return pretty(chosen[0]) if len(chosen) == 1 else json.dumps(chosen, indent=2, sort_keys=True)


def board_objects(
    names: tuple[str, ...],
    kind: str,
    namespace: str,
    label: str,
    *,
    runbooks_at: str = RUNBOOKS,
) -> str:
    """Return ConfigMaps or GrafanaDashboards as a stream of YAML documents."""
    labels = _labels([label])
    documents = []
    body: dict[str, Any]
    for name, board in boards(names, runbooks_at=runbooks_at).items():
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


def write_runbooks(folder: str) -> int:
    """Write the runbook pages into a folder, made if it is missing; return how many.

    Raises AccessError when that is not possible.
    """
    pages = runbooks()
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for alert, text in pages.items():
            (Path(folder) / f"{alert}.md").write_text(text, "utf-8")
    except OSError as exc:
        raise AccessError(f"cannot write to {folder}: {exc.strerror}") from None
    return len(pages)


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
