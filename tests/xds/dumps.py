"""Real config dumps, and edits of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egops.xds.config_dump import ConfigDump

if TYPE_CHECKING:
    from collections.abc import Iterator

DUMPS = Path(__file__).parent.parent / "fixtures" / "dumps"
RELEASES = ("1.2.8", "1.3.0", "1.9.0")


def raw_dump(name: str) -> bytes:
    """Return a recorded dump."""
    return gzip.decompress((DUMPS / f"{name}.json.gz").read_bytes())


def load(name: str) -> Any:
    """Return a recorded dump as plain JSON, to edit."""
    return json.loads(raw_dump(name))


def parsed(document: Any) -> ConfigDump:
    """Return plain JSON as a dump."""
    return ConfigDump.parse(json.dumps(document).encode())


def section(document: Any, name: str) -> Any:
    """Return a section of a dump in plain JSON."""
    return next(
        entry for entry in document["configs"] if entry["@type"].endswith(f".{name}ConfigDump")
    )


def routes(document: Any) -> Iterator[Any]:
    """Yield the dynamic routes of a dump in plain JSON."""
    for config in section(document, "Routes")["dynamic_route_configs"]:
        for host in config["route_config"]["virtual_hosts"]:
            yield from host["routes"]


def made_by(resource: Any) -> Any:
    """Return Envoy Gateway's metadata of a resource in plain JSON."""
    return resource["metadata"]["filter_metadata"]["envoy-gateway"]["resources"][0]


def minimal(
    *virtual_hosts: Any, listeners: Any = (), clusters: Any = (), config: str = "default/eg/http"
) -> ConfigDump:
    """Return a dump with these virtual hosts in one route configuration."""
    kind = "type.googleapis.com/envoy.admin.v3"
    return parsed(
        {
            "configs": [
                {
                    "@type": f"{kind}.ListenersConfigDump",
                    "dynamic_listeners": [
                        {"name": listener["name"], "active_state": {"listener": listener}}
                        for listener in listeners
                    ],
                },
                {
                    "@type": f"{kind}.ClustersConfigDump",
                    "dynamic_active_clusters": [{"cluster": cluster} for cluster in clusters],
                },
                {
                    "@type": f"{kind}.RoutesConfigDump",
                    "dynamic_route_configs": [
                        {"route_config": {"name": config, "virtual_hosts": list(virtual_hosts)}}
                    ],
                },
            ]
        }
    )


def metadata(kind: str, namespace: str, name: str, section_name: str = "", **more: Any) -> Any:
    """Return Envoy Gateway's metadata for a resource."""
    resource = {"kind": kind, "namespace": namespace, "name": name}
    if section_name:
        resource["sectionName"] = section_name
    return {"filter_metadata": {"envoy-gateway": {"resources": [resource], **more}}}
