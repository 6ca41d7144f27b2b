"""Put every link of the control plane to use, with two of each, to rotate certificates under load.

Two Envoy Gateways, two Envoys behind a PodDisruptionBudget, the real rate limit service before a
real Redis, a route for signed-in users (OIDC) and one with a Wasm filter.
"""

import json
from functools import partial
from string import Template

from tests.e2e.cluster import extras, gateway, kube
from tests.e2e.cluster.pki import encoded
from tests.e2e.cluster.settings import EG_NAMESPACE, HERE, PROXY_LABELS
from tests.e2e.cluster.shell import say, wait_for

MANIFEST = "extras/rotation.yaml"
REDIS = "redis.redis-system.svc.cluster.local:6379"
LIMITER = "config.envoyGateway.rateLimit"
ENVIRONMENT = "config.envoyGateway.provider.kubernetes.rateLimitDeployment.container.env"
ADMITTED = {
    "metered.demo.test": 200,
    "wasm.demo.test": 200,
    "signed-in.demo.test": 302,  # to the provider's login
}
# closed: a rate limit service that Envoy cannot reach fails requests, instead of passing in silence
VALUES = (
    "deployment.replicas=2",
    f"{LIMITER}.backend.type=Redis",
    f"{LIMITER}.backend.redis.url={REDIS}",
    f"{LIMITER}.failClosed=true",
    f"{LIMITER}.timeout=8s",  # its default, 20 ms, is missed by a busy machine for other reasons
)
UNDONE = (
    "deployment.replicas=1",
    f"{LIMITER}=null",
    f"{ENVIRONMENT.partition('.rateLimit')[0]}.rateLimitDeployment=null",
)


def nothing_wasm() -> bytes:
    """Return the smallest module that a Wasm filter can be: it allocates, and does nothing."""

    def section(number: int, body: bytes) -> bytes:
        return bytes([number, len(body)]) + body

    def export(name: str, kind: int, index: int) -> bytes:
        return bytes([len(name), *name.encode(), kind, index])

    types = bytes([2, 0x60, 0, 0, 0x60, 1, 0x7F, 1, 0x7F])  # () -> (), (i32) -> i32
    exports = b"\x03" + export("memory", 2, 0)
    exports += export("proxy_abi_version_0_2_1", 0, 0) + export("malloc", 0, 1)
    code = bytes([2, 2, 0, 0x0B, 5, 0, 0x41, 0x80, 0x08, 0x0B])  # {}, { return 1024 }
    return b"\0asm\x01\0\0\0" + b"".join(
        section(number, body)
        for number, body in (
            (1, types),
            (3, bytes([2, 0, 1])),
            (5, bytes([1, 0, 1])),
            (7, exports),
            (10, code),
        )
    )


def max_connection_age(age: str) -> tuple[str, ...]:
    """Return the values with which the rate limit service ends its connections at this age."""
    names = {"GRPC_MAX_CONNECTION_AGE": age, "GRPC_MAX_CONNECTION_AGE_GRACE": "5s"}
    return tuple(
        f"{ENVIRONMENT}[{number}].{key}={value}"
        for number, (name, age_of) in enumerate(names.items())
        for key, value in (("name", name), ("value", age_of))
    )


def set_up(*values: str) -> None:
    """Set all of it up on a cluster with the demo gateway and wait until every link works."""
    extras.rate_limit_software()
    _helm(*VALUES, *(values or max_connection_age("1m")))
    _fleet(
        {"replicas": 2, "pod": {"labels": {"rotation": "two"}}},
        {"drainTimeout": "20s", "minDrainDuration": "5s"},
        {"minAvailable": 1},
    )
    kube.apply(MANIFEST, WASM=encoded(nothing_wasm()))
    kube.rolled_out("demo", "deployment/idp", "deployment/modules")
    limiter = ("deployment", "-n", EG_NAMESPACE, "envoy-ratelimit")
    wait_for("the rate limit deployment", lambda: kube.get(*limiter))
    kube.rolled_out(EG_NAMESPACE, "deployment/envoy-ratelimit")
    _settle(2)
    for host, status in ADMITTED.items():
        wait_for(f"{host} answers {status}", partial(_answers, host, status), 90)
    say(f"two of each, {', '.join(ADMITTED)}")


def _answers(host: str, status: int) -> bool:
    return gateway.ask(host) == status


def undo() -> None:
    """Return to one of each without rate limit, OIDC and Wasm."""
    text = (HERE / "manifests" / MANIFEST).read_text()
    document = Template(text).safe_substitute(WASM="")
    kube.kubectl("delete", "--ignore-not-found", "--wait=true", "-f", "-", stdin=document)
    _helm(*UNDONE)
    _fleet({"replicas": None, "pod": None}, None, None)
    limiter = ("deployment", "service", "serviceaccount", "configmap")
    for kind in limiter:
        named = ("-n", EG_NAMESPACE, "envoy-ratelimit", "--ignore-not-found")
        kube.kubectl("delete", kind, *named)
    kube.kubectl("delete", "namespace", "redis-system", "--ignore-not-found", "--wait=false")
    _settle(1)


def _helm(*values: str) -> None:
    chart = gateway.chart(gateway.installed_version())
    before = kube.get("configmap", "-n", EG_NAMESPACE, "envoy-gateway-config")["data"]
    chosen = tuple(f"--set={value}" for value in values)
    wait = ("--wait", "--timeout", "3m")
    gateway.helm("upgrade", "eg", chart, "-n", EG_NAMESPACE, "--reuse-values", *wait, *chosen)
    after = kube.get("configmap", "-n", EG_NAMESPACE, "envoy-gateway-config")["data"]
    if before != after:  # not every part of it is read again
        kube.kubectl("-n", EG_NAMESPACE, "rollout", "restart", "deployment/envoy-gateway")
    kube.rolled_out(EG_NAMESPACE, "deployment/envoy-gateway")


def _fleet(
    deployment: kube.Object, shutdown: kube.Object | None, budget: kube.Object | None
) -> None:
    kubernetes = {"envoyDeployment": deployment, "envoyPDB": budget}
    spec = {"provider": {"kubernetes": kubernetes}, "shutdown": shutdown}
    patch = json.dumps({"spec": spec})
    named = ("envoyproxy", "-n", EG_NAMESPACE, "rig", "--type=merge")
    kube.kubectl("patch", *named, "-p", patch)


def _settle(replicas: int) -> None:
    """Wait until exactly so many proxies run, all ready, and nothing is being replaced."""

    def settled() -> bool:
        fleet = kube.items("deployment", "-n", EG_NAMESPACE, "-l", gateway.OWNED)[0]
        status, spec = fleet["status"], fleet["spec"]
        pods = kube.items("pods", "-n", EG_NAMESPACE, "-l", PROXY_LABELS)
        return bool(
            spec["replicas"] == replicas == status.get("readyReplicas") == len(pods)
            and status.get("updatedReplicas") == replicas
            and status["observedGeneration"] == fleet["metadata"]["generation"]
        )

    wait_for(f"{replicas} proxies", settled, 180)
