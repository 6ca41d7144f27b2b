"""The translator's resource tree and plain Kubernetes objects: the same thing, two shapes."""

from __future__ import annotations

from typing import Any

GWAPI, EG = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
LISTS: dict[str, tuple[str, str]] = {
    "envoyProxiesForGateways": (f"{EG}/v1alpha1", "EnvoyProxy"),
    "gateways": (f"{GWAPI}/v1", "Gateway"),
    "httpRoutes": (f"{GWAPI}/v1", "HTTPRoute"),
    "grpcRoutes": (f"{GWAPI}/v1", "GRPCRoute"),
    "tlsRoutes": (f"{GWAPI}/v1alpha2", "TLSRoute"),
    "tcpRoutes": (f"{GWAPI}/v1alpha2", "TCPRoute"),
    "udpRoutes": (f"{GWAPI}/v1alpha2", "UDPRoute"),
    "referenceGrants": (f"{GWAPI}/v1beta1", "ReferenceGrant"),
    "namespaces": ("v1", "Namespace"),
    "services": ("v1", "Service"),
    "serviceImports": ("multicluster.x-k8s.io/v1alpha1", "ServiceImport"),
    "endpointSlices": ("discovery.k8s.io/v1", "EndpointSlice"),
    "secrets": ("v1", "Secret"),
    "configMaps": ("v1", "ConfigMap"),
    "envoyPatchPolicies": (f"{EG}/v1alpha1", "EnvoyPatchPolicy"),
    "clientTrafficPolicies": (f"{EG}/v1alpha1", "ClientTrafficPolicy"),
    "backendTrafficPolicies": (f"{EG}/v1alpha1", "BackendTrafficPolicy"),
    "securityPolicies": (f"{EG}/v1alpha1", "SecurityPolicy"),
    "backendTLSPolicies": (f"{GWAPI}/v1alpha3", "BackendTLSPolicy"),
    "envoyExtensionPolicies": (f"{EG}/v1alpha1", "EnvoyExtensionPolicy"),
    "backends": (f"{EG}/v1alpha1", "Backend"),
    "httpFilters": (f"{EG}/v1alpha1", "HTTPRouteFilter"),
}
SINGLES: dict[str, tuple[str, str]] = {
    "envoyProxyForGatewayClass": (f"{EG}/v1alpha1", "EnvoyProxy"),
    "gatewayClass": (f"{GWAPI}/v1", "GatewayClass"),
}
_NAMES = {key.lower(): key for key in (*LISTS, *SINGLES)}  # as lenient as Go's decoder
CLASS = "envoy-gateway-class"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


def objects_of(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of a resource tree, a GatewayClass included."""
    tree = {_NAMES.get(key.lower(), key): value for key, value in tree.items()}
    found = []
    for key, head in SINGLES.items():
        if isinstance(tree.get(key), dict):
            found.append(_object(tree[key], head))
    for key, head in LISTS.items():
        found += [_object(entry, head) for entry in tree.get(key) or []]
    if not isinstance(tree.get("gatewayClass"), dict):
        found.append(_class(tree.get("envoyProxyForGatewayClass")))
    return found


def _object(body: dict[str, Any], head: tuple[str, str]) -> dict[str, Any]:
    body = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
    return {"apiVersion": head[0], "kind": head[1], **body}


def _class(proxy: dict[str, Any] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"controllerName": CONTROLLER}
    if proxy:
        metadata = proxy.get("metadata", {})
        reference = {"group": EG, "kind": "EnvoyProxy", "name": metadata.get("name", "")}
        spec["parametersRef"] = {**reference, "namespace": metadata.get("namespace", "default")}
    return _object({"metadata": {"name": CLASS}, "spec": spec}, (f"{GWAPI}/v1", "GatewayClass"))


def tree_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the resource tree of Kubernetes objects, as the controller would load them."""
    kinds = {kind: key for key, (_, kind) in LISTS.items()}
    tree: dict[str, Any] = {}
    classed = next((o for o in objects if o["kind"] == "GatewayClass"), None)
    reference = classed["spec"].get("parametersRef") if classed else None
    for body in objects:
        kind, name = body["kind"], body["metadata"]["name"]
        if kind == "GatewayClass":
            tree["gatewayClass"] = body
        elif kind == "EnvoyProxy" and reference and reference["name"] == name:
            tree["envoyProxyForGatewayClass"] = body
        elif kind in kinds:
            tree.setdefault(kinds[kind], []).append(body)
    return tree
