"""Faults to plant: each is a context manager that puts everything back."""

import base64
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from tests.e2e.cluster import gateway, host, kube
from tests.e2e.cluster.settings import CONTROLLER_LABELS, EG_NAMESPACE, PROXY_LABELS
from tests.e2e.cluster.shell import sh, wait_for

SERVER_FIELDS = ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields")


def _clean(obj: kube.Object) -> kube.Object:
    metadata = {k: v for k, v in obj["metadata"].items() if k not in SERVER_FIELDS}
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata}


@contextmanager
def objects(*added: kube.Object) -> Iterator[None]:
    """Have these objects in the cluster for the block."""
    kube.apply_objects(*added)
    try:
        yield
    finally:
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": added})
        kube.kubectl("delete", "--ignore-not-found", "--wait=true", "-f", "-", stdin=document)


@contextmanager
def patched(kind: str, namespace: str, name: str, patch: kube.Object) -> Iterator[kube.Object]:
    """Merge a patch into an object for the block, then write the object back as it was."""
    before = kube.get(kind, "-n", namespace, name)
    changed = ("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(patch))
    kube.kubectl(*changed)
    try:
        yield before
    finally:
        kube.kubectl("replace", "-f", "-", stdin=json.dumps(_clean(before)))


@contextmanager
def json_patched(
    kind: str, namespace: str, name: str, operations: list[kube.Object]
) -> Iterator[kube.Object]:
    """Apply JSON patch operations to an object for the block."""
    before = kube.get(kind, "-n", namespace, name)
    document = json.dumps(operations)
    kube.kubectl("patch", kind, name, "-n", namespace, "--type=json", "-p", document)
    try:
        yield before
    finally:
        kube.kubectl("replace", "-f", "-", stdin=json.dumps(_clean(before)))


@contextmanager
def deleted(kind: str, namespace: str, name: str) -> Iterator[kube.Object]:
    """Delete an object for the block, then make it again."""
    before = kube.get(kind, "-n", namespace, name)
    kube.kubectl("delete", kind, name, "-n", namespace)
    try:
        yield before
    finally:
        kube.apply_objects(_clean(before))


def secret_data(values: Mapping[str, bytes]) -> kube.Object:
    """Return the merge patch that sets these values in a Secret."""
    return {"data": {key: base64.b64encode(value).decode() for key, value in values.items()}}


@contextmanager
def scaled(namespace: str, deployment: str, replicas: int) -> Iterator[None]:
    """Scale a deployment for the block, and wait until its old number is ready again."""
    before = kube.get("deployment", "-n", namespace, deployment)["spec"]["replicas"]

    def scale(number: int) -> None:
        target = f"deployment/{deployment}"
        kube.kubectl("-n", namespace, "scale", target, f"--replicas={number}")

    scale(replicas)
    try:
        yield
    finally:
        scale(before)
        kube.rolled_out(namespace, f"deployment/{deployment}")


@contextmanager
def stopped(selector: str, container: str) -> Iterator[list[int]]:
    """Stop a container's processes for the block (SIGSTOP), as a hung program."""
    pids = kube.container_pids(selector, container)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield pids
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def partitioned(*addresses: str) -> Iterator[None]:
    """Drop every packet between these pods and the control plane's xDS port."""
    rules = [("-s", ip, "-p", "tcp", "--dport", "18000", "-j", "DROP") for ip in addresses]
    rules += [("-d", ip, "-p", "tcp", "--sport", "18000", "-j", "DROP") for ip in addresses]
    for rule in rules:
        host.in_netns("iptables", "-w", "-I", "FORWARD", *rule)
    try:
        yield
    finally:
        for rule in rules:
            host.in_netns("iptables", "-w", "-D", "FORWARD", *rule)


def cut_streams(pid: int) -> str:
    """Abort the xDS connections of a proxy now, instead of waiting for its keep-alive."""
    return sh("nsenter", "-t", pid, "-n", "ss", "-K", "dport", "=", ":18000", check=False)


def restart_controller() -> None:
    """Replace the controller's pod and wait for the new one."""
    kube.kubectl("-n", EG_NAMESPACE, "delete", "pod", "-l", CONTROLLER_LABELS, "--wait=true")
    kube.rolled_out(EG_NAMESPACE, "deployment/envoy-gateway")


def proxy_name() -> str:
    """Return the name of the demo gateway's fleet."""
    found = kube.items("deployment", "-n", EG_NAMESPACE, "-l", gateway.OWNED)
    return str(found[0]["metadata"]["name"])


def proxy_address() -> str:
    """Return the address of the first proxy pod."""
    return str(kube.running_pods(PROXY_LABELS)[0]["status"]["podIP"])


def connected() -> bool:
    """Tell whether every proxy has its stream to the control plane."""
    pods = kube.running_pods(PROXY_LABELS)
    stats = [
        kube.envoy_stat("^control_plane.connected_state$", p["metadata"]["name"]) for p in pods
    ]
    return bool(stats) and all(s.get("control_plane.connected_state") == 1 for s in stats)


def wait_until_connected(timeout: float = 60) -> None:
    """Wait until every proxy has its stream to the control plane."""
    wait_for("the proxies' xDS streams", connected, timeout)


def decoded(value: str) -> bytes:
    """Return what a Secret's data holds."""
    return base64.b64decode(value)


def complaint() -> str:
    """Return the last line in which a proxy or the controller says that config was refused."""
    words = ("rejected", "rejecting", "KEY_VALUES_MISMATCH", "failed to translate")
    for selector, container in ((PROXY_LABELS, "envoy"), (CONTROLLER_LABELS, "envoy-gateway")):
        pod = str(kube.running_pods(selector)[0]["metadata"]["name"])
        options = ("-c", container, "--since=60s")
        log = kube.kubectl("-n", EG_NAMESPACE, "logs", pod, *options).splitlines()
        if found := [line for line in log if any(word in line for word in words)]:
            return found[-1]
    return ""
