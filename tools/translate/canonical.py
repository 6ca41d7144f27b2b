"""One spelling for what the minors spell differently and Envoy takes alike.

Each rewrite is a change of form that the releases made for every object: a field that Envoy itself
defaults to, a deprecated field's successor, a label for statistics. What changes what a proxy does
is left alone, for the rules to explain.
"""

from __future__ import annotations

import base64
import json
from itertools import groupby
from typing import Any

Json = dict[str, Any]
EG_METADATA = "envoy-gateway"
READY = "envoy-gateway-proxy-ready"
NOWHERE = "nowhere"


def canonical(kind: str, resource: Json, world: World) -> Json:
    """Return a resource in the one spelling; `kind` is the last part of its type."""
    if kind == "Cluster":
        resource = _cluster(resource)
    found = _walk(resource, world)
    assert isinstance(found, dict)
    return found


def is_ours(kind: str, name: str) -> bool:
    """Return whether a resource is the proxy's own: its readiness (EGU-1401), an empty cluster."""
    is_ready = kind == "Listener" and name.startswith(READY)
    return is_ready or (kind == "Cluster" and name == "EmptyCluster")


class World:
    """What one Gateway's resources say of each other: JWT requirements, clusters without hosts."""

    def __init__(self, types: Json) -> None:
        self.requirements: Json = {}
        self.dead: set[str] = {"EmptyCluster", "invalid-backend-cluster"}
        clusters = {c["name"] for kind, c in _each(types) if kind == "Cluster" and "name" in c}
        hosts = {
            c.get("cluster_name"): any(e.get("lb_endpoints") for e in c.get("endpoints", []))
            for kind, c in _each(types)
            if kind == "ClusterLoadAssignment"
        }
        self.dead |= {name for name in clusters if hosts.get(name) is False}
        for kind, resource in _each(types):
            if kind == "Listener":
                self._jwt(resource)

    def _jwt(self, value: Any) -> None:
        if isinstance(value, list):
            for entry in value:
                self._jwt(entry)
        elif isinstance(value, dict):
            if "requirement_map" in value:
                providers = value.get("providers", {})
                for name, requirement in value["requirement_map"].items():
                    self.requirements[name] = _resolved(requirement, providers)
            for entry in value.values():
                self._jwt(entry)


def _each(types: Json) -> list[tuple[str, Json]]:
    return [(kind.rpartition(".")[2], one) for kind, found in types.items() for one in found]


def _resolved(requirement: Any, providers: Json) -> Any:
    """Return a JWT requirement with its providers written out in place of their names."""
    if isinstance(requirement, list):
        return [_resolved(entry, providers) for entry in requirement]
    if not isinstance(requirement, dict):
        return requirement
    return {
        key: _provider(providers.get(value, value))
        if key == "provider_name"
        else _resolved(value, providers)
        for key, value in requirement.items()
    }


def _provider(provider: Any) -> Any:
    """Leave out where a provider's claims are kept: the name of the provider."""
    if not isinstance(provider, dict):
        return provider
    return {key: value for key, value in provider.items() if key != "payload_in_metadata"}


# ------- clusters

_STREAMS = ("tcproute/", "tlsroute/", "udproute/")
_LB = "envoy.load_balancing_policies."
_POLICIES = {
    "LEAST_REQUEST": "least_request",
    "ROUND_ROBIN": "round_robin",
    "RANDOM": "random",
    "RING_HASH": "ring_hash",
    "MAGLEV": "maglev",
    "CLUSTER_PROVIDED": "cluster_provided",
}


def _cluster(cluster: Json) -> Json:
    cluster = dict(cluster)
    _balancing(cluster)
    _dns(cluster)
    if "health_checks" not in cluster:
        cluster.pop("ignore_health_on_host_removal", None)  # nothing to ignore
    if cluster.get("transport_socket", {}).get("name") == "dummy.transport_socket":
        del cluster["transport_socket"]  # every endpoint matches one of the others
    if cluster.get("name", "").startswith(_STREAMS):
        cluster.pop("typed_extension_protocol_options", None)  # HTTP's, and nobody speaks it
    return cluster


def _balancing(cluster: Json) -> None:
    """Write the load balancing of both generations as `balancing`."""
    found: Json = {"policy": "round_robin"}
    new = cluster.pop("load_balancing_policy", None)
    common = dict(cluster.pop("common_lb_config", None) or {})
    old = cluster.pop("lb_policy", None)
    hashing = common.pop("consistent_hashing_lb_config", None)
    config: Json = {}
    for key in ("least_request", "round_robin", "ring_hash", "maglev"):
        config.update(cluster.pop(f"{key}_lb_config", None) or {})
    if new:
        found["policy"], config = _typed(new)
    elif old:
        found["policy"] = _POLICIES.get(old, old)
    if hashing:
        config["consistent_hashing_lb_config"] = hashing
    common.update(config.pop("locality_lb_config", None) or {})
    common.pop("locality_weighted_lb_config", None)  # every locality has a weight of its own
    zone = common.get("zone_aware_lb_config")
    if zone is not None:
        common["zone_aware_lb_config"] = zone
    found.update({key: value for key, value in {**common, **config}.items() if value != {}})
    cluster["balancing"] = found


def _typed(new: Json) -> tuple[str, Json]:
    extension = (new.get("policies") or [{}])[0].get("typed_extension_config", {})
    config = {k: v for k, v in extension.get("typed_config", {}).items() if k != "@type"}
    return extension.get("name", "").removeprefix(_LB), config


def _dns(cluster: Json) -> None:
    """Write a cluster that resolves names one way: fields of its own, or a typed configuration."""
    typed = cluster.pop("cluster_type", None)
    if typed is not None and typed.get("name") == "envoy.cluster.dns":
        config = dict(typed.get("typed_config", {}))
        single = config.pop("all_addresses_in_single_endpoint", False)
        config.pop("@type", None)
        cluster["type"] = "LOGICAL_DNS" if single else "STRICT_DNS"
        cluster.update(config)
    elif typed is not None:
        cluster["cluster_type"] = typed


# ------- every resource

_DROPPED = ("initial_fetch_timeout",)
_RENAMED = {"parsed_expr": "cel_expr_parsed"}


def _walk(value: Any, world: World) -> Any:
    if isinstance(value, list):
        return [_walk(entry, world) for entry in value]
    if not isinstance(value, dict):
        return value
    value = {_RENAMED.get(k, k): entry for k, entry in value.items() if k not in _DROPPED}
    _metadata(value)
    _requirements(value, world)
    if str(value.get("locality", {}).get("region", "")).rpartition("/")[0].endswith("/backend"):
        del value["locality"]  # the backend's number: a label
    _filters(value)
    _defaults(value)
    _rate_limits(value)
    _body(value)
    _pem(value)
    if isinstance(value.get("cluster"), str) and value["cluster"] in world.dead:
        value["cluster"] = NOWHERE
    if "typed_per_filter_config" in value:
        value["typed_per_filter_config"] = {
            str(_unsuffixed({"name": name})["name"]): _per_route(entry)
            for name, entry in value["typed_per_filter_config"].items()
        }
    return {key: _walk(entry, world) for key, entry in value.items()}


_GRPC = ("envoy.filters.http.grpc_web", "envoy.filters.http.grpc_stats")


def _filters(value: Json) -> None:
    """Put the filters that gRPC listeners always have first: they work on other things."""
    found = value.get("http_filters")
    if isinstance(found, list):
        always = sorted((f for f in found if f.get("name") in _GRPC), key=lambda f: str(f["name"]))
        rest = [_unsuffixed(f) for f in found if f.get("name") not in _GRPC]
        value["http_filters"] = [*always, *_grouped(rest)]
    chains = value.get("filter_chains")
    if isinstance(chains, list):  # the name of a chain is a label
        value["filter_chains"] = [{k: v for k, v in one.items() if k != "name"} for one in chains]


_SHARED = ("envoy.filters.http.basic_auth",)


def _unsuffixed(found: Json) -> Json:
    """Drop the policy's name from a filter that one release names after it and another not."""
    base = str(found.get("name", "")).partition("/")[0]
    return {**found, "name": base} if base in _SHARED else found


def _grouped(filters: list[Json]) -> list[Json]:
    """Sort neighbours of one kind by name: their order among themselves was that of a map."""
    found: list[Json] = []
    for _, group in groupby(filters, key=lambda f: str(f.get("name", "")).partition("/")[0]):
        found += sorted(group, key=lambda f: str(f.get("name", "")))
    return found


_LIMITER = "envoy.filters.http.ratelimit"
_LIMITERS = (_LIMITER, "envoy.filters.http.local_ratelimit")


def _rate_limits(value: Json) -> None:
    """Write a route's global limits where the newer releases do: in its filter's configuration."""
    action = value.get("route")
    if not isinstance(action, dict):
        return
    found = list(action.get("rate_limits") or [])
    value["route"] = {k: v for k, v in action.items() if k != "rate_limits"}
    per_filter = dict(value.get("typed_per_filter_config") or {})
    for name, body in list(per_filter.items()):
        if name.startswith(_LIMITERS) and isinstance(body, dict):
            found += body.get("rate_limits") or []
            rest = {k: v for k, v in body.items() if k not in ("rate_limits", "domain")}
            del per_filter[name]
            if name.startswith(_LIMITERS[1]):
                per_filter[name] = rest
    value.pop("typed_per_filter_config", None)
    if found:
        per_filter[_LIMITER] = {"rate_limits": found}
    if per_filter:
        value["typed_per_filter_config"] = per_filter


def _body(value: Json) -> None:
    """Write the body of a direct response as a format; one with `%` is another text since 1.8."""
    answer = value.get("direct_response")
    if not isinstance(answer, dict):
        return
    source = answer.get("body") or answer.get("body_format", {}).get("text_format_source") or {}
    raw = source.get("inline_bytes")
    text = base64.b64decode(raw).decode("utf-8", "replace") if raw else source.get("inline_string")
    if isinstance(text, str) and ("body" not in answer or "%" not in text):
        rest = {key: entry for key, entry in answer.items() if key not in ("body", "body_format")}
        value["direct_response"] = {**rest, "text": text}


def _pem(value: Json) -> None:
    """Leave out the white space of certificates and keys, which 1.9 writes anew."""
    inline = value.get("inline_bytes")
    if isinstance(inline, str):
        raw = base64.b64decode(inline)
        if raw.startswith(b"-----BEGIN"):
            value["inline_bytes"] = b"".join(raw.split()).decode("ascii", "replace")


def _defaults(value: Json) -> None:
    """Leave out what one release writes and another leaves to Envoy's default."""
    for key, default in _DEFAULTS.items():
        if value.get(key) == default:
            del value[key]
    if "enforcing_consecutive_gateway_failure" in value and not value.get(
        "consecutive_gateway_failure"
    ):
        del value["enforcing_consecutive_gateway_failure"]  # nothing is counted
    body = value.get("body")
    inline = body.get("inline_string") if isinstance(body, dict) else None
    is_answer = str(value.get("@type", "")).endswith("LocalResponsePolicy")
    if is_answer and isinstance(inline, str) and "%" not in inline:
        del value["body"]
        value["body_format"] = {"text_format": inline}


_DEFAULTS: Json = {
    "max_connections_to_accept_per_socket_event": 1,
    "max_dynamic_descriptors": 10000,  # a wildcard descriptor was not possible before
    "runtime_fraction": {"default_value": {"numerator": 100}},
}


def _metadata(value: Json) -> None:
    """Leave out Envoy Gateway's notes on what an xDS resource comes from."""
    noted = value.get("metadata")
    if not isinstance(noted, dict):
        return
    filters = {k: v for k, v in noted.get("filter_metadata", {}).items() if k != EG_METADATA}
    rest = {k: v for k, v in noted.items() if k != "filter_metadata"}
    if filters:
        rest["filter_metadata"] = filters
    del value["metadata"]
    if rest:
        value["metadata"] = rest


def _requirements(value: Json, world: World) -> None:
    if "requirement_map" in value:
        mine = [world.requirements.get(name) for name in value["requirement_map"]]
        value.pop("providers", None)
        value["requirement_map"] = sorted({json.dumps(one, sort_keys=True) for one in mine})
    name = value.get("requirement_name")
    if isinstance(name, str) and name in world.requirements:
        value["requirement_name"] = world.requirements[name]


def _per_route(entry: Any) -> Any:
    """Write "this filter is on here" one way."""
    if not isinstance(entry, dict):
        return entry
    rest = {k: v for k, v in entry.items() if k != "@type" and v != {}}
    return rest or "on"
