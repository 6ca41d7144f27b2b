"""What an EnvoyProxy does to Envoy's bootstrap, as far as it can be told without rendering it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.snapshot import entries, items, section, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egops.snapshot import Resource

XDS_CLUSTER = "xds_cluster"
XDS_HOST, XDS_PORT = "envoy-gateway", 18000


def kind_of(proxy: Resource) -> str:
    """Return `Replace`, `Merge` or `JSONPatch`; nothing if the bootstrap is left alone."""
    bootstrap = section(proxy.spec, "bootstrap")
    return (text(bootstrap, "type") or "Replace") if bootstrap else ""


def value_of(proxy: Resource) -> Mapping[str, Any] | None:
    """Return the YAML of the bootstrap, None if it is no mapping."""
    written = text(proxy.spec, "bootstrap", "value")
    return parse(written)


def parse(written: str) -> Mapping[str, Any] | None:
    """Return the mapping in a YAML text, None if there is none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(written)
    except YAMLError:
        return None
    return value if isinstance(value, dict) else None


def bootstrap_error(proxy: Resource) -> str:
    """Return why Envoy Gateway refuses the bootstrap, or nothing."""
    kind = kind_of(proxy)
    if kind == "JSONPatch":
        return _json_patch_error(proxy)
    if kind not in ("Replace", "Merge") or not text(proxy.spec, "bootstrap", "value"):
        return ""
    value = value_of(proxy)
    if value is None:
        return "its bootstrap is no YAML mapping"
    if kind == "Replace" and not section(value, "dynamic_resources"):
        return "its bootstrap has no dynamic_resources"
    if kind == "Merge" and "dynamic_resources" in value:
        return "its bootstrap changes dynamic_resources"
    clusters = [c for _, c in items(value, "static_resources", "clusters")]
    xds = next((c for c in clusters if text(c, "name") == XDS_CLUSTER), None)
    if xds is None:
        return "its bootstrap has no xds_cluster" if kind == "Replace" else ""
    return _assignment_error(xds, kind)


def _assignment_error(cluster: Mapping[str, Any], kind: str) -> str:
    if kind == "Merge" and "load_assignment" not in cluster:
        return ""
    for locality in entries(cluster, "load_assignment", "endpoints"):
        for _, endpoint in items(locality, "lb_endpoints"):
            address = section(endpoint, "endpoint", "address", "socket_address")
            host, port = address.get("address"), address.get("port_value")
            if (host, port) == (XDS_HOST, XDS_PORT):
                return ""
            return f"its bootstrap points xds_cluster to {host}:{port}, not {XDS_HOST}:{XDS_PORT}"
    return "its bootstrap has an xds_cluster without an address"


def _json_patch_error(proxy: Resource) -> str:
    for _, operation in items(proxy.spec, "bootstrap", "jsonPatches"):
        path = text(operation, "path")
        if path.startswith("/dynamic_resources"):
            return "its bootstrap patch changes dynamic_resources"
    return ""
