"""The inputs of the translators' own tests, with the Services that those tests add to each."""

from __future__ import annotations

from typing import Any

PORTS = {"http": 8080, "https": 8443, "tcp": 8163, "udp": 8162}


def with_services(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree with the usual Services, but for those that it brings itself."""
    tree = dict(tree)
    for name in ("service-1", "service-2", "service-3", "service-4"):
        _add(tree, "default", name, PORTS, "7.7.7.7")
    _add(tree, "default", "mirror-service", {"http": 8080}, "7.6.5.4")
    _add(tree, "monitoring", "otel-collector", {"grpc": 4317, "zipkin": 9411}, "8.7.6.5")
    namespaces = [*(tree.get("namespaces") or [])]
    known = {entry["metadata"]["name"] for entry in namespaces}
    added = {"envoy-gateway", "default"} - known
    namespaces += [{"metadata": {"name": name}} for name in sorted(added)]
    tree["namespaces"] = namespaces
    return tree


def _add(tree: dict[str, Any], namespace: str, name: str, ports: dict[str, int], ip: str) -> None:
    services = [*(tree.get("services") or [])]
    identity = (namespace, name)
    for entry in services:
        metadata = entry["metadata"]
        if (metadata.get("namespace"), metadata["name"]) == identity:
            return
    protocol = {"udp": "UDP"}
    listed = [
        {"name": key, "port": port, "targetPort": port, "protocol": protocol.get(key, "TCP")}
        for key, port in ports.items()
    ]
    metadata = {"namespace": namespace, "name": name}
    services.append({"metadata": metadata, "spec": {"clusterIP": "1.1.1.1", "ports": listed}})
    piece = {
        "metadata": {
            "namespace": namespace,
            "name": f"{name}-endpoints",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{k: p[k] for k in ("name", "port", "protocol")} for p in listed],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}}],
    }
    tree["services"] = services
    tree["endpointSlices"] = [*(tree.get("endpointSlices") or []), piece]
