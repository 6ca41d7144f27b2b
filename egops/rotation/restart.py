"""Rolling restarts of what cannot reload: one new pod before each old one goes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from egops.rotation.gates import STAMP

if TYPE_CHECKING:
    from egops.rotation.installation import Workload

Object = dict[str, Any]

BEFORE = "egops.dev/strategy-before"  # what the workload's strategy was, while ours is in force


def gap(workload: Workload) -> str:
    """Return why a restart leaves a moment without a pod, or an empty string."""
    spec = workload.body.get("spec") or {}
    if workload.api.kind == "Deployment":
        kind = (spec.get("strategy") or {}).get("type")
        return "its strategy is Recreate" if kind == "Recreate" else ""
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return "its updateStrategy is OnDelete: nothing restarts it"
    pod = workload.template.get("spec") or {}
    ports = [port for one in pod.get("containers") or () for port in one.get("ports") or ()]
    if pod.get("hostNetwork") or any(port.get("hostPort") for port in ports):
        return "it holds ports of the node, so a new pod can't start beside the old one"
    return ""


def restart_patch(live: Object, stamp: str) -> Object | None:
    """Return what starts a rolling restart with no pod too few, or None if it has been started.

    The strategy is changed only where it would take a pod away first; what it was is kept in an
    annotation until `restore_patch` puts it back.
    """
    template = (live.get("spec") or {}).get("template") or {}
    notes = (template.get("metadata") or {}).get("annotations") or {}
    if notes.get(STAMP) == stamp:
        return None
    patch: Object = {
        "spec": {"template": {"metadata": {"annotations": {STAMP: stamp}}}},
    }
    key = _key(live)
    strategy = (live.get("spec") or {}).get(key) or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate" and _takes_first(live, strategy):
        rolling = strategy.get("rollingUpdate") or {}
        surge = rolling.get("maxSurge")
        patch["spec"][key] = {
            "type": "RollingUpdate",
            "rollingUpdate": {
                "maxUnavailable": 0,
                "maxSurge": surge if _count(surge, 100, up=True) else 1,
            },
        }
        kept = (live["metadata"].get("annotations") or {}).get(BEFORE)
        before = kept or orjson.dumps(strategy).decode()
        patch["metadata"] = {"annotations": {BEFORE: before}}
    return patch


def restore_patch(live: Object) -> Object | None:
    """Return what puts the strategy back, or None if it is as it was."""
    before = (live["metadata"].get("annotations") or {}).get(BEFORE)
    if before is None:
        return None
    try:
        strategy = orjson.loads(before)
    except orjson.JSONDecodeError:
        strategy = {"type": "RollingUpdate", "rollingUpdate": None}
    return {"metadata": {"annotations": {BEFORE: None}}, "spec": {_key(live): strategy}}


def _key(live: Object) -> str:
    return "strategy" if "strategy" in (live.get("spec") or {}) else "updateStrategy"


def _takes_first(live: Object, strategy: Object) -> bool:
    """Return whether the strategy may take an old pod away before a new one is there."""
    rolling = strategy.get("rollingUpdate") or {}
    if _key(live) == "updateStrategy":
        return bool(_count(rolling.get("maxUnavailable", 1), 1, up=True))
    replicas = (live.get("spec") or {}).get("replicas")
    return bool(_count(rolling.get("maxUnavailable"), 1 if replicas is None else replicas))


def _count(text: Any, of: int, *, up: bool = False) -> int:
    """Return the pods that a number or a percentage stands for; Kubernetes' default is 25 %."""
    if isinstance(text, int):
        return text
    percent = str(text if text is not None else "25%").removesuffix("%")
    share = of * int(percent) / 100 if percent.isdigit() else 0
    return math.ceil(share) if up else math.floor(share)
