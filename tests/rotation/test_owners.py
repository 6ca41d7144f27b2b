"""Who keeps a Secret, and what a restart would do to a workload."""

from __future__ import annotations

from typing import Any

import pytest

from egops.rotation.installation import DAEMON_SET, DEPLOYMENT, Workload
from egops.rotation.owners import owners
from egops.rotation.restart import gap, restart_patch, restore_patch


def secret(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "envoy", **meta}}


def managed(manager: str, operation: str = "Update") -> dict[str, Any]:
    entry = {"manager": manager, "operation": operation, "fieldsV1": {"f:data": {}}}
    return secret(managedFields=[entry])


@pytest.mark.parametrize(
    ("thing", "owner"),
    [
        (secret(annotations={"cert-manager.io/certificate-name": "x"}), "cert-manager"),
        (secret(annotations={"argocd.argoproj.io/tracking-id": "x"}), "Argo CD"),
        (secret(labels={"argocd.argoproj.io/instance": "x"}), "Argo CD"),
        (secret(labels={"kustomize.toolkit.fluxcd.io/name": "x"}), "Flux"),
        (secret(annotations={"meta.helm.sh/release-name": "x"}), "Helm"),
        (secret(ownerReferences=[{"kind": "ExternalSecret", "name": "x"}]), "External Secrets"),
        (secret(ownerReferences=[{"kind": "SealedSecret", "name": "x"}]), "Sealed Secrets"),
        (managed("cert-manager-certificates-issuing"), "cert-manager"),
        (managed("argocd-controller", "Apply"), "Argo CD"),
        (managed("kubectl", "Apply"), "the field manager kubectl"),
        (managed("homegrown-operator"), "the field manager homegrown-operator"),
    ],
)
def test_an_owner_is_named_with_advice(thing: dict[str, Any], owner: str) -> None:
    found = owners(thing)

    assert [one.name for one in found] == [owner]
    assert found[0].advice


@pytest.mark.parametrize(
    "thing",
    [secret(), managed("envoy-gateway"), managed("egops"), managed("kubectl-edit")],
)
def test_who_wrote_once_is_no_owner(thing: dict[str, Any]) -> None:
    assert owners(thing) == []


def test_a_certificate_that_names_the_secret_is_an_owner() -> None:
    certificate = {"metadata": {"name": "c"}, "spec": {"secretName": "envoy"}}

    assert owners(secret(), [certificate])[0].name == "cert-manager"
    assert owners(secret(), [{"spec": {"secretName": "other"}}]) == []


# ------------------------------------------------------------------ restarts


def deployment(replicas: int, strategy: dict[str, Any], **annotations: str) -> dict[str, Any]:
    template = {"metadata": {}, "spec": {"containers": [{"name": "envoy"}]}}
    spec = {"replicas": replicas, "strategy": strategy, "template": template}
    return {"metadata": {"name": "d", "annotations": annotations}, "spec": spec}


DEFAULT = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


def test_a_strategy_that_takes_no_pod_first_stays() -> None:
    patch = restart_patch(deployment(3, DEFAULT), "s")

    assert patch == {"spec": {"template": {"metadata": {"annotations": {"egops.dev/certs": "s"}}}}}


def test_a_strategy_that_takes_a_pod_first_is_changed_and_put_back() -> None:
    live = deployment(4, DEFAULT)
    patch = restart_patch(live, "s")
    assert patch is not None

    changed = patch["spec"]["strategy"]["rollingUpdate"]
    kept = deployment(4, patch["spec"]["strategy"], **patch["metadata"]["annotations"])
    restored = restore_patch(kept)

    assert changed == {"maxUnavailable": 0, "maxSurge": "25%"}
    assert restored is not None
    assert restored["spec"]["strategy"] == DEFAULT
    assert restored["metadata"]["annotations"] == {"egops.dev/strategy-before": None}
    assert restore_patch(live) is None


def test_no_surge_and_none_unavailable_would_never_end_so_one_may_surge() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    patch = restart_patch(deployment(1, strategy), "s")

    assert patch is not None
    assert patch["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_what_has_the_stamp_is_not_restarted_again() -> None:
    live = deployment(1, DEFAULT)
    live["spec"]["template"]["metadata"]["annotations"] = {"egops.dev/certs": "s"}

    assert restart_patch(live, "s") is None
    assert restart_patch(live, "t") is not None


def workload(kind: str, **spec: Any) -> Workload:
    template = {"spec": spec.pop("pod", {"containers": [{"name": "envoy"}]})}
    api = DEPLOYMENT if kind == "Deployment" else DAEMON_SET
    return Workload(api, {"metadata": {"name": "w"}, "spec": {"template": template, **spec}})


@pytest.mark.parametrize(
    ("thing", "word"),
    [
        (workload("Deployment", strategy={"type": "Recreate"}), "Recreate"),
        (workload("DaemonSet", updateStrategy={"type": "OnDelete"}), "OnDelete"),
        (workload("DaemonSet", updateStrategy={}, pod={"hostNetwork": True}), "ports of the node"),
        (
            workload("DaemonSet", pod={"containers": [{"ports": [{"hostPort": 80}]}]}),
            "ports of the node",
        ),
    ],
)
def test_what_cannot_be_restarted_without_a_gap_is_told(thing: Workload, word: str) -> None:
    assert word in gap(thing)


def test_a_rolling_update_has_no_gap() -> None:
    assert gap(workload("Deployment", strategy=DEFAULT)) == ""
    assert gap(workload("DaemonSet", updateStrategy={"type": "RollingUpdate"})) == ""
