"""Talking to the rig's API server with kubectl, and to its pods."""

import json
import re
import string
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster.host import tracker
from tests.e2e.cluster.settings import BIN, EG_NAMESPACE, HERE, KUBECONFIG, PROXY_LABELS
from tests.e2e.cluster.shell import RigError, sh

# an object as the API gives it
Object = dict[str, Any]


def kubectl(*arguments: object, check: bool = True, stdin: str | None = None) -> str:
    """Run kubectl as the cluster's administrator."""
    command = (BIN / "kubectl", "--kubeconfig", KUBECONFIG, *arguments)
    return sh(*command, check=check, stdin=stdin)


def get(*arguments: object) -> Object:
    """Return what `kubectl get` of these arguments finds."""
    found: Object = json.loads(kubectl("get", *arguments, "-o", "json"))
    return found


def items(*arguments: object) -> list[Object]:
    """Return the objects of a list."""
    found: list[Object] = get(*arguments)["items"]
    return found


def apply_text(text: str) -> None:
    """Apply manifests server-side; ours win over what a controller or a person set."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)


def apply(manifest: str, **values: str) -> None:
    """Apply a manifest of the rig, its ${NAMES} replaced."""
    apply_text(string.Template((HERE / "manifests" / manifest).read_text()).safe_substitute(values))


def apply_objects(*objects: Object) -> None:
    """Apply objects in one call."""
    apply_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def rolled_out(namespace: str, *workloads: str, timeout: int = 90) -> None:
    """Wait until these workloads run what they should.

    Raises:
        RigError: one does not; the error shows the pods and the end of the log.
    """
    for workload in workloads:
        try:
            limit = f"--timeout={timeout}s"
            kubectl("-n", namespace, "rollout", "status", workload, limit)
        except RigError as exc:
            pods = kubectl("-n", namespace, "get", "pods", "-o", "wide", check=False)
            log = kubectl("-n", namespace, "logs", workload, "--tail=8", check=False)
            hint = f"kubectl -n {namespace} describe pods"
            raise RigError(f"{exc}\n{pods}\n{log}", component=workload, hint=hint) from exc


def running_pods(selector: str, namespace: str = EG_NAMESPACE) -> list[Object]:
    """Return the running pods of the labels that are not about to go, by name."""
    found = items("pods", "-n", namespace, "-l", selector, "--field-selector=status.phase=Running")
    alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return sorted(alive, key=lambda pod: str(pod["metadata"]["name"]))


def container_pids(selector: str, container: str, namespace: str = EG_NAMESPACE) -> list[int]:
    """Return the ids, on this machine, of the named container's processes."""
    found: list[int] = []
    for pod in running_pods(selector, namespace):
        for state in pod["status"].get("containerStatuses", []):
            if state["name"] == container and "running" in state["state"]:
                identity = state["containerID"].removeprefix("containerd://")
                group = next((tracker() / "kubepods").rglob(identity))
                found += [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    return found


@contextmanager
def port_forward(namespace: str, target: str, port: int) -> Iterator[str]:
    """Give a local URL for a port of a pod, as long as the block runs."""
    command = [BIN / "kubectl", "--kubeconfig", KUBECONFIG, "-n", namespace, "port-forward"]
    with subprocess.Popen(
        [*map(str, command), target, f":{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdout
            assert child.stderr
            line = child.stdout.readline()
            if not (found := re.search(r"127\.0\.0\.1:(\d+)", line)):
                text = f"port-forward to {target}:{port}: {line}{child.stderr.read()}"
                raise RigError(text, component="kubectl")
            yield f"http://127.0.0.1:{found.group(1)}"
        finally:
            child.terminate()


def fetch(url: str, timeout: float = 20) -> tuple[int, bytes]:
    """Return status and body of a GET; status 0 when nobody answered."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read()
    except OSError as exc:
        return 0, str(exc).encode()


def text_of(url: str, timeout: float = 5) -> str:
    """Return the body of a GET that answered 200.

    Raises:
        RigError: it did not.
    """
    status, body = fetch(url, timeout)
    if status != 200:
        raise RigError(f"{url} answered {status}: {body[:200]!r}")
    return body.decode()


def envoy_admin(path: str, pod: str = "") -> str:
    """Return what the admin endpoint of a proxy (the first, if none is named) answers."""
    name = pod or str(running_pods(PROXY_LABELS)[0]["metadata"]["name"])
    with port_forward(EG_NAMESPACE, f"pod/{name}", 19000) as base:
        return text_of(f"{base}/{path}", 10)


def envoy_stat(name: str, pod: str = "") -> dict[str, float]:
    """Return the proxy's stats whose name matches the regular expression."""
    found = json.loads(envoy_admin(f"stats?format=json&filter={name}", pod))["stats"]
    return {stat["name"]: stat["value"] for stat in found if "name" in stat and "value" in stat}
