"""Who makes Envoy call a cluster whose name tells no object: JWKS and OIDC servers given by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from egops.xds import names, owners, topology
from egops.xds.owners import Owner, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.xds.config_dump import ConfigDump

_KEYS = ("cluster", "cluster_name")
JWT = "envoy.filters.http.jwt_authn"


def callers(dump: ConfigDump, clusters: Iterable[str]) -> dict[str, tuple[Owner, ...]]:
    """Return the policies, or else the routes, whose filters call each of the clusters."""
    wanted = {name: f'"{name}"'.encode() for name in clusters}
    found: dict[str, dict[Owner, None]] = {name: {} for name in wanted}
    if not wanted:
        return {}
    for filter_name, raw, route in _configurations(dump):
        named = [name for name, quoted in wanted.items() if quoted in raw]
        for name in named:
            who = list(_owners(filter_name, raw, name, route))
            if not who and filter_name == JWT:
                who = list(_jwt_routes(dump, msgspec.json.decode(raw), name))
            found[name].update(dict.fromkeys(who))
    return {name: tuple(who) for name, who in found.items()}


def _configurations(dump: ConfigDump) -> Iterator[tuple[str, bytes, Source | None]]:
    """Yield each filter's configuration in a connection manager, then each route's own."""
    for entry in dump.listeners:
        for _, listener in topology.states(entry):
            for chain in listener.chains:
                manager = topology.http_manager(chain)
                for filter_ in manager.http_filters if manager else ():
                    yield filter_.name, bytes(filter_.typed_config), None
    for config in dump.route_configs:
        for host in config.route_config.virtual_hosts:
            for route in host.routes:
                if raw := bytes(route.typed_per_filter_config):
                    source = owners.route_source(route, host)
                    yield "", raw, source if isinstance(source, Source) else None


def _owners(filter_name: str, raw: bytes, cluster: str, route: Source | None) -> Iterator[Owner]:
    if (owner := owners.filter_owner(filter_name)) is not None:
        yield owner
        return
    told = False
    for where in _paths(msgspec.json.decode(raw), cluster, ()):
        for part in where:
            if owner := _named(part):
                told = True
                yield owner
    if not told and route is not None:
        yield Owner(route.kind, route.namespace, route.name, "caller", route.rule)


def _jwt_routes(dump: ConfigDump, config: Any, cluster: str) -> Iterator[Owner]:
    """Yield the routes that require a provider of this cluster: from 1.9 on its key tells none."""
    providers = {
        name
        for name, provider in _mapping(config, "providers").items()
        if cluster in topology.strings(provider, "cluster")
    }
    required = {
        name
        for name, requirement in _mapping(config, "requirement_map").items()
        if providers.intersection(topology.strings(requirement, "provider_name"))
    }
    for entry in dump.route_configs:
        for host in entry.route_config.virtual_hosts:
            for route in host.routes:
                if JWT.encode() not in bytes(route.typed_per_filter_config):
                    continue
                source = owners.route_source(route, host)
                body = _mapping(msgspec.json.decode(route.typed_per_filter_config), JWT)
                named = required.intersection(topology.strings(body, "requirement_name"))
                if named and isinstance(source, Source):
                    yield Owner(source.kind, source.namespace, source.name, "caller", source.rule)


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _named(part: str) -> Owner | None:
    """Return the object in a provider's key (a route's name) or a stat prefix (a policy's)."""
    if policy := names.parse_owned(part):
        return Owner(*policy[0], "caller")
    route = names.parse_route(part.rpartition("/")[0]) or names.parse_route(part)
    if route is not None:
        return Owner(route.kind, route.namespace, route.name, "caller", route.rule)
    return None


def _paths(value: Any, cluster: str, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the keys above each reference to the cluster, and the stat prefixes beside them."""
    if isinstance(value, dict):
        prefix = value.get("stat_prefix")
        here = (*above, prefix) if isinstance(prefix, str) else above
        for key, entry in value.items():
            if key in _KEYS and entry == cluster:
                yield here
            else:
                yield from _paths(entry, cluster, (*here, key))
    elif isinstance(value, list):
        for entry in value:
            yield from _paths(entry, cluster, above)
