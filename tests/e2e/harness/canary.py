"""Canaries: a new Envoy and a new rate limit service, which have to connect to everybody anew.

They are copies of running pods without the labels of their Service, so no user meets them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.cluster import kube
from tests.e2e.cluster.settings import EG_NAMESPACE, PROXY_LABELS
from tests.e2e.cluster.shell import RigError, sh, wait_for
from tests.e2e.harness.counters import LIMITER_LABELS, samples

LINKED = ("metered.demo.test", "wasm.demo.test")
PLAIN = ("www.demo.test",)
LOADED = "ratelimit_service_config_load_success"


def copy_of(pod: kube.Object, name: str) -> kube.Object:
    """Return a pod of the same containers, which no Service and no controller knows."""
    spec = {k: v for k, v in pod["spec"].items() if k != "nodeName"}
    # the API server adds a token of its own to each pod that may have one
    spec["volumes"] = [v for v in spec["volumes"] if not v["name"].startswith("kube-api-access")]
    for container in spec["containers"]:
        mounts = container.get("volumeMounts", [])
        kept = [m for m in mounts if not m["name"].startswith("kube-api-access")]
        container["volumeMounts"] = kept
    metadata = {"name": name, "namespace": EG_NAMESPACE, "labels": {"canary": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_ready(name: str) -> str:
    """Return the pod's address, or nothing as long as it is not ready."""
    status = kube.get("pod", "-n", EG_NAMESPACE, name)["status"]
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return str(status["podIP"]) if conditions.get("Ready") == "True" else ""


@contextmanager
def _sent(labels: str, name: str, timeout: float) -> Iterator[str]:
    kube.apply_objects(copy_of(kube.running_pods(labels)[0], name))
    try:
        yield wait_for(f"pod {name}", lambda: is_ready(name), timeout)
    finally:
        options = ("--ignore-not-found", "--grace-period=1", "--wait=false")
        kube.kubectl("-n", EG_NAMESPACE, "delete", "pod", name, *options)


def _answers(address: str, host: str) -> bool:
    command = ("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}")
    return sh(*command, "-H", f"Host: {host}", f"http://{address}:10080/", check=False) == "200"


def envoy(name: str, hosts: Sequence[str] = LINKED, timeout: float = 60) -> str:
    """Start a new Envoy; return what it cannot do, or nothing.

    It has to become Ready (xDS), and to answer for each host: by default where the rate limit
    service, and a Wasm filter that it has to fetch, are in the way.
    """
    try:
        with _sent(PROXY_LABELS, name, timeout) as address:
            for host in hosts:
                wait_for(f"{host} through {name}", partial(_answers, address, host), 10)
    except RigError as exc:
        return str(exc)
    return ""


def rate_limiter(name: str, timeout: float = 60) -> str:
    """Start a new rate limit service; return what it cannot do, or nothing.

    It has to become Ready and to get its configuration from Envoy Gateway.
    """

    def loaded(address: str) -> Any:
        return samples(kube.text_of(f"http://{address}:19001/metrics", 3)).get(LOADED)

    try:
        with _sent(LIMITER_LABELS, name, timeout) as address:
            wait_for(f"configuration of {name}", lambda: loaded(address), 20)
    except RigError as exc:
        return str(exc)
    return ""


def both(name: str) -> list[str]:
    """Start one of each; return what they cannot do."""
    unique = _unique(name)
    found = (envoy(f"canary-envoy-{unique}"), rate_limiter(f"canary-limiter-{unique}"))
    return [problem for problem in found if problem]


def alone(name: str) -> list[str]:
    """Start an Envoy where there is no rate limit service; return what it cannot do."""
    found = envoy(f"canary-envoy-{_unique(name)}", PLAIN)
    return [found] if found else []


def _unique(name: str) -> str:
    return f"{name}-{time.monotonic_ns() % 10**6}"
