"""Boards as ConfigMaps for Grafana's sidecar, labelled as the installed sidecar really watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egops.apply import Api
from egops.errors import InputError
from egops.monitoring.targets import FOLDER, pretty
from egops.monitoring.targets.kubernetes import KubernetesTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.apply import Cluster, Object
    from egops.monitoring.targets import Content

CONFIG_MAP = Api("v1", "ConfigMap", "configmaps")
WORKLOADS = (
    Api("apps/v1", "Deployment", "deployments"),
    Api("apps/v1", "StatefulSet", "statefulsets"),
)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar watches: a label, in some namespaces (`ALL`, or names; empty for its own)."""

    workload: str
    namespace: str
    label: str
    value: str
    watched: str
    folder_annotation: str

    def sees(self, namespace: str) -> bool:
        """Return whether it looks into a namespace."""
        if self.watched.upper() == "ALL":
            return True
        return namespace in (self.watched.split(",") if self.watched else [self.namespace])


def sidecars(cluster: Cluster) -> list[Sidecar]:
    """Return the dashboard sidecars of the cluster."""
    found = []
    for api in WORKLOADS:
        for thing in cluster.list(api) or []:
            found += list(_in_workload(api.kind, thing))
    return found


def _in_workload(kind: str, thing: Object) -> Iterator[Sidecar]:
    meta = thing["metadata"]
    spec = (((thing.get("spec") or {}).get("template") or {}).get("spec")) or {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        env = {entry["name"]: str(entry.get("value") or "") for entry in container.get("env") or []}
        if not env.get("LABEL") or not _is_for_dashboards(container, env):
            continue
        yield Sidecar(
            workload=f"{kind} {meta['namespace']}/{meta['name']}",
            namespace=meta["namespace"],
            label=env["LABEL"],
            value=env.get("LABEL_VALUE", ""),
            watched=env.get("NAMESPACE", ""),
            folder_annotation=env.get("FOLDER_ANNOTATION", ""),
        )


def _is_for_dashboards(container: dict[str, Any], env: dict[str, str]) -> bool:
    if env.get("RESOURCE", "configmap") not in {"configmap", "both"}:
        return False
    words = f"{container.get('name', '')} {env['LABEL']} {env.get('FOLDER', '')}".lower()
    return "dashboard" in words


def target(cluster: Cluster, *, namespace: str = "", label: str = "") -> KubernetesTarget:
    """Return the target for the sidecar that is there, or for the label that the user gives.

    Raises InputError when there is no sidecar, or several that want different labels.
    """
    if label:
        key, _, value = label.partition("=")
        if not namespace:
            raise InputError("--label needs --target-namespace: no sidecar tells where it looks")
        return _target(cluster, namespace, {key: value or "1"}, "", ())
    found = sidecars(cluster)
    if not found:
        raise InputError(
            "no Grafana sidecar was found: no container has LABEL set for dashboards",
            hint="name what it watches with --label KEY=VALUE, or use --to grafana",
        )
    wants = {(one.label, one.value or "1") for one in found}
    if len(wants) > 1:
        names = "; ".join(f"{one.workload} wants {one.label}={one.value or 1}" for one in found)
        raise InputError(f"several sidecars watch different labels: {names}", hint="choose --label")
    one = found[0]
    namespace = namespace or one.namespace
    if not any(each.sees(namespace) for each in found):
        raise InputError(
            f"the sidecar of {one.workload} does not look into namespace {namespace}",
            hint=f"it watches {one.watched or one.namespace}: choose --target-namespace",
        )
    notes = (f"{one.workload} watches {one.label}={one.value or 1} in {one.watched or namespace}.",)
    return _target(cluster, namespace, {one.label: one.value or "1"}, one.folder_annotation, notes)


def _target(
    cluster: Cluster, namespace: str, labels: dict[str, str], folder: str, notes: tuple[str, ...]
) -> KubernetesTarget:
    annotations = {folder: FOLDER} if folder else {}
    return KubernetesTarget(cluster, CONFIG_MAP, namespace, _objects, labels, annotations, notes)


def _objects(content: Content) -> dict[str, dict[str, Any]]:
    """Return a ConfigMap for each board: file names are ours alone, so none is overwritten."""
    return {
        f"egops-{name}": {"data": {f"egops-{name}.json": pretty(board) + "\n"}}
        for name, board in content.boards.items()
    }
