"""The demo gateway's objects, as stories vary them."""

from typing import Any

from tests.e2e.cluster import kube
from tests.e2e.cluster.settings import BOX_IMAGE

GATEWAY_API = "gateway.networking.k8s.io"
EG_API = "gateway.envoyproxy.io"
NAMESPACE = "demo"


def http_route(
    name: str, host: str, rules: list[dict[str, Any]] | None = None, **spec: Any
) -> kube.Object:
    """Return a route of the demo gateway, to echo-blue if no rules are given."""
    default = [{"backendRefs": [{"name": "echo-blue", "port": 8080}]}]
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "eg"}],
            "hostnames": [host],
            "rules": rules or default,
            **spec,
        },
    }


def policy(kind: str, name: str, target: str, spec: dict[str, Any]) -> kube.Object:
    """Return an Envoy Gateway policy on `Kind/name`."""
    target_kind, _, target_name = target.partition("/")
    reference = {"group": GATEWAY_API, "kind": target_kind, "name": target_name}
    return {
        "apiVersion": f"{EG_API}/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"targetRefs": [reference], **spec},
    }


def gateway(name: str, listeners: list[dict[str, Any]], gateway_class: str = "eg") -> kube.Object:
    """Return a Gateway in the demo's namespace."""
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"gatewayClassName": gateway_class, "listeners": listeners},
    }


def server(
    name: str,
    mode: str,
    port: dict[str, Any],
    environment: dict[str, str] | None = None,
    namespace: str = NAMESPACE,
) -> tuple[kube.Object, kube.Object]:
    """Return a Deployment of one of our own servers and the Service before it."""
    labels = {"app": name}
    probe: dict[str, Any] = {"httpGet": {"path": "/ready", "port": 3000}, "periodSeconds": 1}
    if mode == "tls":
        probe["httpGet"]["scheme"] = "HTTPS"
    container = {
        "name": mode,
        "image": BOX_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [mode],
        "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
        "ports": [{"name": "web", "containerPort": 3000}],
        "readinessProbe": probe,
    }
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": labels, "ports": [{"targetPort": 3000, **port}]},
    }
    return deployment, service


def namespace(name: str) -> kube.Object:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
