"""Manifests of any size: HTTPRoutes, Services and their EndpointSlices, all healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import yaml

if TYPE_CHECKING:
    from pathlib import Path

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
GATEWAY_API = "gateway.networking.k8s.io"


def objects(count: int) -> list[dict[str, Any]]:
    """Return a Gateway with `count` routes, each to a Service of its own with two endpoints."""
    made: list[dict[str, Any]] = [
        {
            "apiVersion": f"{GATEWAY_API}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "eg"},
            "spec": {"controllerName": CONTROLLER},
        },
        {
            "apiVersion": f"{GATEWAY_API}/v1",
            "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": "edge"},
            "spec": {
                "gatewayClassName": "eg",
                "listeners": [
                    {
                        "name": "http",
                        "port": 80,
                        "protocol": "HTTP",
                        "allowedRoutes": {"namespaces": {"from": "All"}},
                    }
                ],
            },
        },
    ]
    for number in range(count):
        made += [_route(number), _service(number), _slice(number)]
    return made


def _meta(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"name": f"{name}-{number}", "namespace": f"team-{number % 50}", **more}


def _condition(kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": kind,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-01T10:00:00Z",
        "message": "ok",
    }


def _route(number: int) -> dict[str, Any]:
    parent = {"name": "edge", "namespace": "edge"}
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "HTTPRoute",
        "metadata": _meta(number, "route", generation=1, creationTimestamp="2026-11-01T10:00:00Z"),
        "spec": {
            "parentRefs": [parent],
            "hostnames": [f"app-{number}.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": f"/v{number % 7}"}}],
                    "backendRefs": [{"name": f"service-{number}", "port": 8080}],
                }
            ],
        },
        "status": {
            "parents": [
                {
                    "parentRef": parent,
                    "controllerName": CONTROLLER,
                    "conditions": [_condition("Accepted"), _condition("ResolvedRefs")],
                }
            ]
        },
    }


def _service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(number, "service"),
        "spec": {
            "selector": {"app": f"app-{number}"},
            "ports": [{"name": "http", "port": 8080, "targetPort": 3000}],
        },
    }


def _slice(number: int) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": f"service-{number}"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _meta(number, "slice", labels=labels),
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [f"10.{number // 250}.{number % 250}.{i}"], "conditions": {"ready": True}}
            for i in (1, 2)
        ],
        "ports": [{"name": "http", "port": 3000, "protocol": "TCP"}],
    }


def write(folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Write the objects as YAML files of 100 documents and as JSON Lists; return both."""
    made = objects(count)
    as_yaml, as_json = [], []
    for start in range(0, len(made), 100):
        part = made[start : start + 100]
        path = folder / f"yaml/{start:06}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.dump_all(part, Dumper=yaml.CSafeDumper, sort_keys=False), "utf-8")
        as_yaml.append(path)
    for start in range(0, len(made), 5000):
        path = folder / f"json/{start:06}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        listed = {"apiVersion": "v1", "kind": "List", "items": made[start : start + 5000]}
        path.write_bytes(orjson.dumps(listed, option=orjson.OPT_INDENT_2))
        as_json.append(path)
    return as_yaml, as_json
