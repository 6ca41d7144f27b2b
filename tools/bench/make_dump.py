"""Write a config dump as Envoy prints it, of any size: python tools/bench/make_dump.py OUT.

Shaped as Envoy Gateway 1.9 translates many HTTPRoutes of one Gateway: each host has ten routes, two
routes share a rule and its cluster, every third cluster splits over two backends. 50,000 routes
make about 100 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

TYPE = "type.googleapis.com/envoy"
LISTENER = ("edge", "public", "http")
SINCE = "2026-01-01T00:00:00.000Z"


def metadata(kind: str, namespace: str, name: str, section: str = "", **more: Any) -> Any:
    """Return Envoy Gateway's metadata for an object."""
    resource = {"kind": kind, "namespace": namespace, "name": name}
    if section:
        resource["sectionName"] = section
    return {"filter_metadata": {"envoy-gateway": {"resources": [resource], **more}}}


def owner(index: int) -> tuple[str, str, int, int]:
    """Return namespace, HTTPRoute, rule and match of the route with this number."""
    rules = index // 2
    return f"team-{rules // 500:03d}", f"app-{rules // 5:05d}", rules % 5, index % 2


def cluster_name(index: int) -> str:
    """Return the cluster of the route with this number."""
    namespace, name, rule, _ = owner(index)
    return f"httproute/{namespace}/{name}/rule/{rule}"


def route(index: int, host: str) -> Any:
    """Return one route."""
    namespace, name, rule, match = owner(index)
    path = f"/api/v{match + 1}/{name}/rule-{rule}"
    condition: dict[str, Any] = {"path_separated_prefix": path}
    if match:
        condition = {
            "path": path,
            "headers": [{"name": ":method", "string_match": {"exact": "POST"}}],
        }
    policy = {"kind": "BackendTrafficPolicy", "namespace": namespace, "name": name}
    return {
        "match": condition,
        "route": {
            "cluster": cluster_name(index),
            "timeout": "5s",
            "retry_policy": {
                "retry_on": "connect-failure,retriable-status-codes",
                "num_retries": 2,
            },
            "upgrade_configs": [{"upgrade_type": "websocket"}],
        },
        "metadata": metadata("HTTPRoute", namespace, name, f"rule-{rule}", policies=[policy]),
        "name": f"httproute/{namespace}/{name}/rule/{rule}/match/{match}/{host.replace('.', '_')}",
    }


def virtual_hosts(routes: int) -> Iterator[Any]:
    """Yield virtual hosts of ten routes."""
    for first in range(0, routes, 10):
        namespace, name, _, _ = owner(first)
        host = f"{name}.{namespace}.example.com"
        yield {
            "name": "/".join((*LISTENER, host.replace(".", "_"))),
            "domains": [host],
            "routes": [route(index, host) for index in range(first, min(first + 10, routes))],
            "metadata": metadata("Gateway", *LISTENER[:2], LISTENER[2]),
        }


def clusters(routes: int) -> Iterator[Any]:
    """Yield one cluster for every second route."""
    for index in range(0, routes, 2):
        namespace, name, rule, _ = owner(index)
        body = {
            "@type": f"{TYPE}.config.cluster.v3.Cluster",
            "name": cluster_name(index),
            "type": "EDS",
            "eds_cluster_config": {
                "eds_config": {"ads": {}, "resource_api_version": "V3"},
                "service_name": cluster_name(index),
            },
            "connect_timeout": "10s",
            "per_connection_buffer_limit_bytes": 32768,
            "metadata": metadata("HTTPRoute", namespace, name, f"rule-{rule}"),
        }
        version = hashlib.sha256(cluster_name(index).encode()).hexdigest()
        yield {"version_info": version, "cluster": body, "last_updated": SINCE}


def endpoints(routes: int) -> Iterator[Any]:
    """Yield the load assignments of the clusters."""
    for index in range(0, routes, 2):
        backends = 2 if index % 6 == 0 else 1
        localities = [
            {
                "locality": {"region": f"{cluster_name(index)}/backend/{backend}"},
                "lb_endpoints": [
                    {
                        "endpoint": {
                            "address": {
                                "socket_address": {
                                    "address": f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}",
                                    "port_value": 8080,
                                }
                            }
                        },
                        "health_status": "HEALTHY",
                        "load_balancing_weight": 1,
                    }
                ],
                "load_balancing_weight": 10 if backend else 90,
            }
            for backend in range(backends)
        ]
        body = {
            "@type": f"{TYPE}.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": cluster_name(index),
            "endpoints": localities,
        }
        yield {"endpoint_config": body}


def listener() -> Any:
    """Return the listener that all routes share."""
    name = "/".join(LISTENER)
    manager = {
        "@type": f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",  # noqa: E501 - one name
        "stat_prefix": "http-10080",
        "rds": {
            "config_source": {"ads": {}, "resource_api_version": "V3"},
            "route_config_name": name,
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPE}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    filter_ = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    body = {
        "@type": f"{TYPE}.config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 10080}},
        "default_filter_chain": {"name": name, "filters": [filter_]},
    }
    state = {"version_info": "1", "listener": body, "last_updated": SINCE}
    return {"name": name, "active_state": state}


def write(out: TextIO, routes: int) -> None:
    """Write a dump with so many routes, indented as Envoy does."""

    def entries(found: Iterator[Any]) -> None:
        for number, entry in enumerate(found):
            out.write(",\n" if number else "\n")
            text = json.dumps(entry, indent=1)
            out.write("    " + text.replace("\n", "\n    "))

    def section(name: str, field: str) -> None:
        out.write(f'  {{\n   "@type": "{TYPE}.admin.v3.{name}ConfigDump",\n   "{field}": [')

    out.write('{\n "configs": [\n')
    section("Clusters", "dynamic_active_clusters")
    entries(clusters(routes))
    out.write("\n   ]\n  },\n")
    section("Endpoints", "dynamic_endpoint_configs")
    entries(endpoints(routes))
    out.write("\n   ]\n  },\n")
    section("Listeners", "dynamic_listeners")
    entries(iter([listener()]))
    out.write("\n   ]\n  },\n")
    section("Routes", "dynamic_route_configs")
    out.write('\n    {\n     "version_info": "1",\n     "route_config": {\n')
    out.write(f'      "@type": "{TYPE}.config.route.v3.RouteConfiguration",\n')
    out.write(f'      "name": "{"/".join(LISTENER)}",\n      "virtual_hosts": [')
    entries(virtual_hosts(routes))
    out.write("\n      ]\n     },\n")
    out.write(f'     "last_updated": "{SINCE}"\n    }}\n   ]\n  }}\n ]\n}}\n')


def main() -> None:
    """Write the dump that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", type=int, default=50_000)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with arguments.out.open("w", encoding="utf-8") as out:
        write(out, arguments.routes)


if __name__ == "__main__":
    main()
