"""The HTTP filters of a connection manager: which answer, and which may change the route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from egops.xds.config_dump import Filter, plain
from egops.xds.match_predicates import header_check
from egops.xds.match_specs import HeaderSpec

if TYPE_CHECKING:
    from egops.xds.config_dump import FilterChain, Listener
    from egops.xds.match_request import Seen
    from egops.xds.match_table import Compiled
    from egops.xds.walk_manager import Manager

# filters that neither set metadata for routing nor make Envoy look for the route again
SETTLED = frozenset(
    {
        "Router", "Cors", "HTTPFault", "GrpcWeb", "FilterConfig", "Compressor", "RBAC",
        "LocalRateLimit", "RateLimit", "Buffer", "BasicAuth", "CsrfPolicy", "HealthCheck",
        "StatefulSession", "ApiKeyAuth", "CustomResponse", "BandwidthLimit", "AdmissionControl",
        "Decompressor", "GrpcStats", "CredentialInjector",
    }
)  # fmt: skip


def may_reroute(manager: Manager) -> bool:
    """Return whether some filter may set metadata or change headers and have the route redone."""
    return any(entry.type not in SETTLED for entry in manager.http_filters)


def sets_metadata_early(listener: Listener, chain: FilterChain) -> bool:
    """Return whether something before the connection manager may set metadata or filter state."""
    quiet = ("TlsInspector", "HttpInspector", "OriginalDst", "HttpConnectionManager")
    entries = (*listener.listener_filters, *chain.filters)
    return any(entry.type not in quiet and not _is_bare_proxy_protocol(entry) for entry in entries)


def _is_bare_proxy_protocol(entry: Filter) -> bool:
    config = plain(entry.typed_config)
    return entry.type == "ProxyProtocol" and isinstance(config, dict) and not config.get("rules")


def per_route(route: Compiled | None, name: str) -> Any:
    """Return a route's own configuration of a filter, or None."""
    if route is None or not route.route.typed_per_filter_config:
        return None
    found = plain(route.route.typed_per_filter_config)
    return found.get(name) if isinstance(found, dict) else None


def is_on(entry: Filter, own: Any) -> bool:
    """Return whether a filter acts, given the configuration a route has for it."""
    if isinstance(own, dict) and "FilterConfig" in own.get("@type", ""):
        return not own.get("disabled", False)
    return not entry.disabled or own is not None


def health_answer(manager: Manager, route: Compiled | None, seen: Seen) -> int | None:
    """Return the status with which a health check filter answers by itself, or None."""
    for entry in manager.http_filters:
        if entry.type != "HealthCheck" or not is_on(entry, per_route(route, entry.name)):
            continue
        config = plain(entry.typed_config)
        if config.get("pass_through_mode"):
            continue
        specs = msgspec.convert(config.get("headers", []), list[HeaderSpec])
        if specs and all(
            header_check(spec, each_line=True).test(seen) is True for spec in specs
        ):  # fmt: skip
            return 200
    return None
