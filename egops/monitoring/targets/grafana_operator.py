"""Boards as GrafanaDashboard objects for grafana-operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.apply import Api
from egops.errors import InputError
from egops.monitoring.targets import FOLDER, pretty
from egops.monitoring.targets.kubernetes import KubernetesTarget
from egops.monitoring.targets.selectors import matches

if TYPE_CHECKING:
    from egops.apply import Cluster
    from egops.monitoring.targets import Content

DASHBOARD = Api("grafana.integreatly.org/v1beta1", "GrafanaDashboard", "grafanadashboards")
GRAFANA = Api("grafana.integreatly.org/v1beta1", "Grafana", "grafanas")


def target(cluster: Cluster, *, namespace: str = "", label: str = "") -> KubernetesTarget:
    """Return the target for the Grafana object that is there, chosen by its own labels.

    Raises InputError when there is no Grafana object, none with labels, or several.
    """
    grafanas = cluster.list(GRAFANA)
    if grafanas is None:
        raise InputError("the cluster has no grafana-operator: its CRDs are missing")
    if label:
        key, _, value = label.partition("=")
        chosen = {key: value}
        grafanas = [one for one in grafanas if matches({"matchLabels": chosen}, _labels(one))]
    if not grafanas:
        hint = (
            "choose another --label KEY=VALUE" if label else "or use --to sidecar or --to grafana"
        )
        raise InputError("no Grafana object was found", hint=hint)
    if len(grafanas) > 1 and not label:
        names = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}"
                          for one in grafanas)  # fmt: skip
        raise InputError(f"several Grafana objects: {names}", hint="choose one by --label")
    grafana = grafanas[0]
    selector = {label.partition("=")[0]: label.partition("=")[2]} if label else _labels(grafana)
    if not selector:
        name = grafana["metadata"]["name"]
        raise InputError(
            f"Grafana {name} has no labels, so no GrafanaDashboard can select it",
            hint=f"kubectl label grafana {name} dashboards={name}",
        )
    home = grafana["metadata"]["namespace"]
    namespace = namespace or home

    def render(content: Content) -> dict[str, dict[str, Any]]:
        return _objects(content, selector, elsewhere=namespace != home)

    notes = (f"Grafana {home}/{grafana['metadata']['name']} selects them by its own labels.",)
    return KubernetesTarget(cluster, DASHBOARD, namespace, render, notes=notes)


def _labels(thing: dict[str, Any]) -> dict[str, str]:
    return dict(thing["metadata"].get("labels") or {})


def _objects(
    content: Content, selector: dict[str, str], *, elsewhere: bool
) -> dict[str, dict[str, Any]]:
    shared: dict[str, Any] = {"instanceSelector": {"matchLabels": selector}, "folder": FOLDER}
    shared |= {"allowCrossNamespaceImport": True} if elsewhere else {}
    return {
        f"egops-{name}": {"spec": shared | {"json": pretty(board)}}
        for name, board in content.boards.items()
    }
