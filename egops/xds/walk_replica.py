"""A bootstrap that decides as a dump's listener does, and touches nothing outside.

Listener, filter chains and route tables stay; TLS gets a throw-away certificate, backends become
one that tells what it got, filters that need others are left out, and answers carry the name of
their route.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from egops.xds.config_dump import plain
from egops.xds.raw import tree_routes, tree_targets

if TYPE_CHECKING:
    from collections.abc import Collection

    from egops.xds.config_dump import ConfigDump
    from egops.xds.walk import Walker

API = "type.googleapis.com/envoy."
ECHO = "egops-echo"
ROUTE, HOST = "x-egops-route", "x-egops-virtual-host"
DETAILS, PATH, AUTHORITY = "x-egops-details", "x-egops-path", "x-egops-authority"

_MANAGER_FIELDS = (
    "@type", "codec_type", "stat_prefix", "normalize_path", "merge_slashes",
    "path_with_escaped_slashes_action", "common_http_protocol_options", "http_protocol_options",
    "max_request_headers_kb", "strip_matching_host_port", "strip_any_host_port",
    "strip_trailing_host_dot", "use_remote_address", "skip_xff_append", "xff_num_trusted_hops",
    "preserve_external_request_id", "generate_request_id", "forward_client_cert_details",
    "internal_address_config", "scheme_header_transformation", "early_header_mutation_extensions",
    "upgrade_configs", "add_user_agent", "append_x_forwarded_port", "via", "proxy_100_continue",
    "original_ip_detection_extensions",
)  # fmt: skip
_ACTION_FIELDS = (
    "prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "host_rewrite_literal",
    "host_rewrite_header", "host_rewrite_path_regex", "upgrade_configs",
    "cluster_not_found_response_code", "append_x_forwarded_host",
)  # fmt: skip
_LISTENER_FILTERS = ("TlsInspector", "HttpInspector")
_STATUS = {"comparison": {"op": "GE", "value": {"default_value": 0, "runtime_key": "egops.none"}}}


def replica(
    walker: Walker, listener: str, port: int, pipe: str, certificate: tuple[str, str] | None
) -> dict[str, Any]:
    """Return the bootstrap (without `admin`) of one listener of a dump.

    Args:
        walker: the dump, made ready.
        listener: the name of the listener.
        port: the loopback port it is to listen on.
        pipe: the socket path of the backend.
        certificate: chain and key as PEM, for listeners that terminate TLS.
    """
    entry = _raw_listener(walker.config, listener)
    clusters = walker.clusters if walker.clusters is not None else _Every()
    chains = [_chain(walker, chain, port, clusters, certificate) for chain in _chains(entry)]
    last = entry.get("default_filter_chain")
    made: dict[str, Any] = {
        "name": listener,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": chains,
        "listener_filters": [
            kept
            for kept in entry.get("listener_filters", [])
            if str(kept.get("typed_config", {}).get("@type", "")).endswith(_LISTENER_FILTERS)
        ],
    }
    if isinstance(last, dict):
        made["default_filter_chain"] = _chain(walker, last, port, clusters, certificate)
    runtime = {"layers": [{"name": "dump", "static_layer": walker.how.runtime}]}
    return {
        "static_resources": {"listeners": [made, _echo(pipe)], "clusters": [_echo_cluster(pipe)]},
        **({"layered_runtime": runtime} if walker.how.runtime else {}),
    }


class _Every(frozenset[str]):
    """The clusters of a dump that does not tell them: any may be there."""

    def __contains__(self, name: object) -> bool:
        return True


def _raw_listener(config: ConfigDump, name: str) -> dict[str, Any]:
    for short, raw in config.raw_sections():
        if not short.startswith("ListenersConfigDump"):
            continue
        section = plain(raw)
        for entry in (*section.get("static_listeners", []), *section.get("dynamic_listeners", [])):
            found = entry.get("listener") or entry.get("active_state", {}).get("listener") or {}
            if found.get("name", "") == name:
                return dict(found)
        found = section.get("active_state", {}).get("listener") or {}
        if found.get("name") == name:
            return dict(found)
    return {}


def _chains(entry: dict[str, Any]) -> list[dict[str, Any]]:
    return [chain for chain in entry.get("filter_chains", []) if isinstance(chain, dict)]


def _chain(
    walker: Walker,
    chain: dict[str, Any],
    port: int,
    clusters: Collection[str],
    certificate: tuple[str, str] | None,
) -> dict[str, Any]:
    made: dict[str, Any] = {"name": chain.get("name", "")}
    if isinstance(match := chain.get("filter_chain_match"), dict):
        made["filter_chain_match"] = dict(match)
        if "destination_port" in match:
            made["filter_chain_match"]["destination_port"] = port
        made["filter_chain_match"].pop("prefix_ranges", None)
    if "transport_socket" in chain and certificate is not None:
        made["transport_socket"] = _tls(chain["transport_socket"], certificate)
    manager = next((f for f in chain.get("filters", []) if _is_manager(f)), None)
    made["filters"] = [_closing() if manager is None else _manager(walker, manager, clusters)]
    return made


def _is_manager(entry: Any) -> bool:
    kind = entry.get("typed_config", {}).get("@type", "") if isinstance(entry, dict) else ""
    return str(kind).endswith("HttpConnectionManager")


def _closing() -> dict[str, Any]:
    """Return a filter for a chain that is not HTTP: it only has to be there."""
    kind = API + "extensions.filters.network.tcp_proxy.v3.TcpProxy"
    config = {"@type": kind, "stat_prefix": "replica", "cluster": ECHO}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _tls(socket: dict[str, Any], certificate: tuple[str, str]) -> dict[str, Any]:
    config = socket.get("typed_config", {})
    common = config.get("common_tls_context", {}) if isinstance(config, dict) else {}
    chain, key = certificate
    kept = {"alpn_protocols": common["alpn_protocols"]} if common.get("alpn_protocols") else {}
    pair = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": API + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificates": [pair], **kept},
        },
    }


def _manager(walker: Walker, entry: dict[str, Any], clusters: Collection[str]) -> dict[str, Any]:
    config = entry["typed_config"]
    made = {key: config[key] for key in _MANAGER_FIELDS if key in config}
    made["http_filters"] = [*_filters(config), _router()]
    made["local_reply_config"] = {
        "mappers": [
            {
                "filter": {"status_code_filter": _STATUS},
                "headers_to_add": [_header(DETAILS, "%RESPONSE_CODE_DETAILS%")],
            }
        ]
    }
    table = config.get("route_config")
    if table is None:
        name = config.get("rds", {}).get("route_config_name", "")
        table = _raw_table(walker.config, name) or {"name": name}
    made["route_config"] = _table(table, clusters)
    return {"name": entry.get("name", "http"), "typed_config": made}


def _filters(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the filters that answer by themselves and need nobody: health checks."""
    return [
        entry
        for entry in config.get("http_filters", [])
        if str(entry.get("typed_config", {}).get("@type", "")).endswith("HealthCheck")
    ]


def _router() -> dict[str, Any]:
    kind = API + "extensions.filters.http.router.v3.Router"
    return {"name": "envoy.filters.http.router", "typed_config": {"@type": kind}}


def _raw_table(config: ConfigDump, name: str) -> dict[str, Any] | None:
    for short, raw in config.raw_sections():
        if not short.startswith("RoutesConfigDump"):
            continue
        section = plain(raw)
        for entry in (*section.get("dynamic_route_configs", []), section):
            found = entry.get("route_config") if isinstance(entry, dict) else None
            if isinstance(found, dict) and found.get("name") == name:
                return found
    return None


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _table(table: dict[str, Any], clusters: Collection[str]) -> dict[str, Any]:
    kept = (
        "name",
        "ignore_port_in_host_matching",
        "ignore_path_parameters_in_path_matching",
        "vhost_header",
        "internal_only_headers",
    )
    return {
        **{key: table[key] for key in kept if key in table},
        "validate_clusters": False,
        "virtual_hosts": [_host(host, clusters) for host in table.get("virtual_hosts", [])],
    }


def _host(host: dict[str, Any], clusters: Collection[str]) -> dict[str, Any]:
    kept = ("name", "domains", "require_tls")
    made: dict[str, Any] = {key: host[key] for key in kept if key in host}
    made["response_headers_to_add"] = [_header(HOST, _literal(host.get("name", "")))]
    if isinstance(matcher := host.get("matcher"), dict):
        made["matcher"] = _tree(matcher, clusters)
        return made
    made["routes"] = [
        _route(route, place, clusters) for place, route in enumerate(host.get("routes", []))
    ]
    return made


def _tree(matcher: dict[str, Any], clusters: Collection[str]) -> dict[str, Any]:
    """Return a matcher tree with routes that tell their place."""
    made = copy.deepcopy(matcher)
    place = 0
    for target in tree_targets(made):
        for route in tree_routes(target):
            kind = {"@type": route["@type"]} if "@type" in route else {}
            told = kind | _route(route, place, clusters)
            route.clear()
            route.update(told)
            place += 1
    return made


def _route(route: dict[str, Any], place: int, clusters: Collection[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"match": route.get("match", {"prefix": "/"})}
    if route.get("name"):
        made["name"] = route["name"]
    if "redirect" in route:
        made["redirect"] = route["redirect"]
    elif "direct_response" in route:
        made["direct_response"] = {"status": route["direct_response"].get("status", 200)}
    elif "non_forwarding_action" in route:
        made["non_forwarding_action"] = {}
    else:
        made["route"] = _action(route.get("route", {}), clusters)
    # names need not be unique: the place in the table is
    made["response_headers_to_add"] = [_header(ROUTE, f"{place}")]
    return made


def _action(action: dict[str, Any], clusters: Collection[str]) -> dict[str, Any]:
    made = {key: action[key] for key in _ACTION_FIELDS if key in action}
    if "cluster" in action:
        made["cluster"] = ECHO if action["cluster"] in clusters else action["cluster"]
    elif "weighted_clusters" in action:
        entries = action["weighted_clusters"].get("clusters", [])
        names = [entry.get("name", "") for entry in entries]
        missing = bool(names) and all(name not in clusters for name in names)
        made["cluster"] = names[0] if missing else ECHO
    else:
        made["cluster"] = ECHO
    return made


def _echo(pipe: str) -> dict[str, Any]:
    told = [_header(PATH, "%REQ(:PATH)%"), _header(AUTHORITY, "%REQ(:AUTHORITY)%")]
    host = {
        "name": ECHO,
        "domains": ["*"],
        "response_headers_to_add": told,
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
    }
    kind = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    manager = {
        "@type": API + kind,
        "stat_prefix": ECHO,
        "route_config": {"name": ECHO, "virtual_hosts": [host]},
        "http_filters": [_router()],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"name": ECHO, "address": {"pipe": {"path": pipe}}, "filter_chains": [chain]}


def _echo_cluster(pipe: str) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": pipe}}}}
    endpoints = [{"lb_endpoints": [endpoint]}]
    return {"name": ECHO, "load_assignment": {"cluster_name": ECHO, "endpoints": endpoints}}
