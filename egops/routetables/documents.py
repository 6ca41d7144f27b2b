"""The config dump of a Gateway's Envoys: listeners, tables, virtual hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.routetables.managers import API, settings
from egops.routetables.rows import metadata

if TYPE_CHECKING:
    from egops.listeners import Listener
    from egops.routetables.rows import Row
    from egops.snapshot import Resource, Snapshot


def hosts(
    rows: list[Row], name: str, gateway: Resource | None, section_name: str, *, preserves: bool
) -> list[dict[str, Any]]:
    """Return the virtual hosts of a listener, their routes in order."""
    by_host: dict[str, list[Row]] = {}
    for row in rows:
        by_host.setdefault(row.host, []).append(row)
    return [
        {
            "name": f"{name}/{host.replace('.', '_')}",
            "domains": [host],
            "routes": [
                row.route
                for row in (members if preserves else sorted(members, key=lambda r: r.order))
            ],
            **({"metadata": metadata(gateway, section_name)} if gateway is not None else {}),
        }
        for host, members in by_host.items()
    ]


def chain(
    name: str, listener: Listener, rows: list[Row], snapshot: Snapshot, *, secure: bool
) -> dict[str, Any]:
    """Return the filter chain of a listener, or of all that share its port."""
    made = chain_of(name, settings(listener, snapshot), rows, secure=secure)
    if secure and listener.hostname:
        made["filter_chain_match"] = {"server_names": [listener.hostname]}
    return made


def chain_of(
    name: str, manager: dict[str, Any], rows: list[Row], *, secure: bool
) -> dict[str, Any]:
    """Return a filter chain with this connection manager."""
    found = sorted({entry for row in rows for entry in row.filters})
    manager["rds"] = {"route_config_name": name}
    manager["http_filters"] = [
        {"name": title, "disabled": True, "typed_config": {"@type": f"{API}{message}"}}
        for _, title, message in found
    ]
    kind = "envoy.filters.network.http_connection_manager"
    made: dict[str, Any] = {"name": name, "filters": [{"name": kind, "typed_config": manager}]}
    if secure:
        tls = {"@type": API + "extensions.transport_sockets.tls.v3.DownstreamTlsContext"}
        made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return made


def socket(name: str, port: int, chains: list[dict[str, Any]], *, secure: bool) -> dict[str, Any]:
    """Return Envoy's listener on a port of the Gateway."""
    made: dict[str, Any] = {
        "name": name,
        "address": {
            "socket_address": {
                "address": "0.0.0.0",  # noqa: S104 - what Envoy Gateway writes
                "port_value": port + 10_000 if port < 1024 else port,
            }
        },
    }
    if secure:
        inspector = {"@type": API + "extensions.filters.listener.tls_inspector.v3.TlsInspector"}
        made["listener_filters"] = [{"name": "tls_inspector", "typed_config": inspector}]
        return made | {"filter_chains": chains}
    return made | {"default_filter_chain": chains[0]}


def dump(sockets: list[dict[str, Any]], tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the config dump."""
    kind = API + "admin.v3."
    return {
        "configs": [
            {
                "@type": kind + "ListenersConfigDump",
                "dynamic_listeners": [
                    {"name": socket["name"], "active_state": {"listener": socket}}
                    for socket in sockets
                ],
            },
            {
                "@type": kind + "RoutesConfigDump",
                "dynamic_route_configs": [{"route_config": table} for table in tables],
            },
        ]
    }
