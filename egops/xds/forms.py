"""The same setting in one form: releases of Envoy Gateway write some settings in several ways.

Each rewrite is of a change that releases made in form only: a field that Envoy defaults to, the
successor of a deprecated field, a label of statistics. What changes what a proxy does is left.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.xds.names import parse_filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SYSTEM_CA = "system CA"
Json = dict[str, Any]


class Names(NamedTuple):
    """What the names in a dump stand for: resources, and JWT requirements by their contents."""

    resources: Mapping[str, str] = {}
    requirements: Mapping[str, Any] = {}


def canonical(value: Any, names: Names) -> Any:
    """Return plain JSON in one form, names of other resources told as `names` says."""
    if isinstance(value, list):
        return [canonical(entry, names) for entry in value]
    if isinstance(value, str):
        return names.resources.get(value, value)
    if not isinstance(value, dict):
        return value
    value = {_RENAMED.get(k, k): entry for k, entry in value.items() if k not in _LABELS}
    for form in _FORMS:
        value = form(value)
    value = _tls(_requirements(value, names.requirements), names.resources)
    return {key: canonical(entry, names) for key, entry in value.items()}


# Envoy Gateway's notes on what a resource comes from; a wait that Envoy does not end early anyway
_LABELS = frozenset({"metadata", "initial_fetch_timeout"})
_RENAMED = {"parsed_expr": "cel_expr_parsed"}


def _without(value: Json, *keys: str) -> Json:
    return {key: entry for key, entry in value.items() if key not in keys}


def _mapping(value: Any, *keys: str) -> Json:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


# ------------------------------------------------------------------ filters


def _per_filter(value: Json) -> Json:
    """Key the configurations of filters by the filter, not by the policy in its name."""
    configs = value.get("typed_per_filter_config")
    if not isinstance(configs, dict):
        return value
    found: Json = {}
    for name, entry in configs.items():
        base = parse_filter(name).base
        found[name if base in found else base] = _switched_on(entry)
    return {**value, "typed_per_filter_config": found}


def _switched_on(entry: Any) -> Any:
    """Write "this filter is on here" one way: as an empty configuration of it, or of none."""
    if not isinstance(entry, dict):
        return entry
    rest = {key: each for key, each in entry.items() if key != "@type" and each != {}}
    return {**rest, "@type": entry["@type"]} if rest and "@type" in entry else rest or "on"


_ALWAYS_FIRST = ("envoy.filters.http.grpc_stats", "envoy.filters.http.grpc_web")


def _filter_list(value: Json) -> Json:
    """Name filters by what they are; several of a kind are numbered in their order."""
    filters = value.get("http_filters")
    if not isinstance(filters, list):
        return value
    seen: dict[str, int] = {}
    found: list[Any] = []
    for entry in filters:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            found.append(entry)
            continue
        base = parse_filter(entry["name"]).base
        seen[base] = seen.get(base, 0) + 1
        name = base if seen[base] == 1 else f"{base} #{seen[base]}"
        found.append({**entry, "name": name})
    # the two that every gRPC listener has work on other things than all others
    first = [e for name in _ALWAYS_FIRST for e in found if _mapping(e).get("name") == name]
    rest = [entry for entry in found if entry not in first]
    return {**value, "http_filters": [*first, *rest]}


_LIMITER = "envoy.filters.http.ratelimit"


def _rate_limits(value: Json) -> Json:
    """Write a route's global limits where newer releases do: in its filter's configuration."""
    action = _mapping(value, "route")
    per_filter = _mapping(value, "typed_per_filter_config")
    found = list(action.get("rate_limits") or [])
    own = [name for name in per_filter if name.startswith(_LIMITER)]
    if not found and not own:
        return value
    for name in own:
        found += _mapping(per_filter[name]).get("rate_limits") or []
    value = {**value, "route": _without(action, "rate_limits")}
    value["typed_per_filter_config"] = _without(per_filter, *own)
    value["typed_per_filter_config"][_LIMITER] = {"rate_limits": found}
    return value


def requirements_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each JWT requirement in a listener by name, with its providers written out."""
    if isinstance(value, list):
        for entry in value:
            yield from requirements_of(entry)
    elif isinstance(value, dict):
        named = _mapping(value, "requirement_map")
        for name, requirement in named.items():
            yield name, _resolved(requirement, _mapping(value, "providers"))
        if not named:
            for entry in value.values():
                yield from requirements_of(entry)


def _resolved(requirement: Any, providers: Json) -> Any:
    if isinstance(requirement, list):
        return [_resolved(entry, providers) for entry in requirement]
    if not isinstance(requirement, dict):
        return requirement
    return {
        key: _without(_mapping(providers.get(str(entry))), "payload_in_metadata")
        if key == "provider_name"
        else _resolved(entry, providers)
        for key, entry in requirement.items()
    }


def _requirements(value: Json, requirements: Mapping[str, Any]) -> Json:
    """Write JWT requirements out where they are used: their names differ between releases."""
    if isinstance(name := value.get("requirement_name"), str) and name in requirements:
        return {**value, "requirement_name": requirements[name]}
    if "requirement_map" in value and "providers" in value:
        return _without(value, "requirement_map", "providers")
    return value


# ------------------------------------------------------------------ clusters

_POLICIES = {
    "ROUND_ROBIN": "round_robin", "LEAST_REQUEST": "least_request", "RANDOM": "random",
    "MAGLEV": "maglev", "RING_HASH": "ring_hash", "CLUSTER_PROVIDED": "cluster_provided",
}  # fmt: skip
_SETTINGS = tuple(f"{name}_lb_config" for name in _POLICIES.values())


def _load_balancing(value: Json) -> Json:
    """Write how a cluster balances one way: as fields of its own (up to 1.6), or as a policy."""
    new, old = value.get("load_balancing_policy"), value.get("lb_policy")
    if new is None and old is None:
        return value
    common = dict(_mapping(value, "common_lb_config"))
    settings: Json = {}
    for name in _SETTINGS:
        settings.update(_mapping(value, name))
    policy = _POLICIES.get(str(old), str(old))
    if new is not None:
        policies = _mapping(new).get("policies")
        first = policies[0] if isinstance(policies, list) and policies else {}
        extension = _mapping(first, "typed_extension_config")
        policy = str(extension.get("name", "")).rpartition(".")[2]
        settings = _without(_mapping(extension, "typed_config"), "@type")
    common.update(_mapping(settings, "locality_lb_config"))
    settings.pop("locality_lb_config", None)
    common.pop("locality_weighted_lb_config", None)  # every locality has a weight of its own
    rest = {key: entry for key, entry in {**common, **settings}.items() if entry != {}}
    gone = ("load_balancing_policy", "lb_policy", "common_lb_config", *_SETTINGS)
    return {**_without(value, *gone), "load balancing": {"policy": policy, **rest}}


def _dns(value: Json) -> Json:
    """Write a cluster that resolves names one way; drop the family where none is resolved."""
    typed = value.get("cluster_type")
    if isinstance(typed, dict) and typed.get("name") == "envoy.cluster.dns":
        config = _without(_mapping(typed, "typed_config"), "@type")
        single = config.pop("all_addresses_in_single_endpoint", False)
        kind = "LOGICAL_DNS" if single else "STRICT_DNS"
        return {**_without(value, "cluster_type"), "type": kind, **config}
    if value.get("type") == "EDS" or "eds_cluster_config" in value:
        return _without(value, "dns_lookup_family")
    return value


_STREAMS = ("tcproute/", "tlsroute/", "udproute/")


def _unused(value: Json) -> Json:
    """Drop settings that nothing uses in the resource that has them."""
    if "health_checks" not in value:
        value = _without(value, "ignore_health_on_host_removal")
    if value.get("max_connections_to_accept_per_socket_event") == 1:
        value = _without(value, "max_connections_to_accept_per_socket_event")
    if _mapping(value, "transport_socket").get("name") == "dummy.transport_socket":
        value = _without(value, "transport_socket")  # every endpoint matches one of the others
    if str(value.get("name", "")).startswith(_STREAMS):
        value = _without(value, "typed_extension_protocol_options")  # HTTP's, nobody speaks it
    return value


# ------------------------------------------------------------------ matches, answers, TLS


def _header_match(value: Json) -> Json:
    """Write a header's match the new way (1.4 on): inside `string_match`."""
    for old, new in (
        ("exact_match", "exact"),
        ("prefix_match", "prefix"),
        ("suffix_match", "suffix"),
        ("contains_match", "contains"),
        ("safe_regex_match", "safe_regex"),
    ):
        if old in value and "name" in value:
            value = {**_without(value, old), "string_match": {new: value[old]}}
    return value


def _body(value: Json) -> Json:
    """Write the body of an own answer as a format; one with `%` is another text since 1.8."""
    own = str(value.get("@type", "")).endswith(".LocalResponsePolicy")
    if not isinstance(value.get("body"), dict) or not (own or "status" in value):
        return value
    text = _told(value["body"])
    if text is None or "%" in text:
        return value
    return {**_without(value, "body"), "body_format": {"text_format": text}}


def _text_format(value: Json) -> Json:
    """Write the text of a format one way: in place, as a source, or as a source in base64."""
    source = value.get("text_format_source")
    if not isinstance(source, dict) or (text := _told(source)) is None:
        return value
    return {**_without(value, "text_format_source"), "text_format": text}


def _told(source: Json) -> str | None:
    """Return the text of a data source that holds it; None for a file, or what is no text."""
    if isinstance(written := source.get("inline_string"), str):
        return written
    try:
        return base64.b64decode(str(source["inline_bytes"]), validate=True).decode()
    except (KeyError, binascii.Error, ValueError):
        return None


def is_system_ca(secret: Any) -> bool:
    """Return whether a secret is nothing but the file of the system's CA."""
    return bool(_mapping(secret, "validation_context", "trusted_ca").get("filename"))


def _tls(value: Json, resources: Mapping[str, str]) -> Json:
    """Write the system's CA one way: as an inline file or a secret it is the same to Envoy."""
    combined = _mapping(value, "combined_validation_context")
    name = str(_mapping(combined, "validation_context_sds_secret_config").get("name", ""))
    if name == "system_ca_certificates" or resources.get(name) == SYSTEM_CA:
        default = _mapping(combined, "default_validation_context")
        sans = default.get("match_typed_subject_alt_names")
        rest = _without(value, "combined_validation_context")
        return {**rest, "ca": SYSTEM_CA, "names": sans}
    inline = _mapping(value, "validation_context")
    if _mapping(inline, "trusted_ca").get("filename"):
        sans = inline.get("match_typed_subject_alt_names")
        return {**_without(value, "validation_context"), "ca": SYSTEM_CA, "names": sans}
    return value


# how the format that Envoy Gateway sets by default begins, as text; as JSON it has the same fields
_DEFAULT_LOG = '{"start_time":"%START_TIME%","method":"%REQ(:METHOD)%"'


def _log(value: Json) -> Json:
    """Name the default format of access logs, which is long and says no more than that."""
    form = value.get("log_format")
    fields, text = _mapping(form, "json_format"), _mapping(form, "text_format_source")
    if fields.get("start_time") == "%START_TIME%" and "response_code_details" in fields:
        return {**value, "log_format": "default as JSON"}
    if str(text.get("inline_string", "")).startswith(_DEFAULT_LOG):
        return {**value, "log_format": "default as text"}
    return value


_FORMS = (
    _unused, _load_balancing, _dns, _header_match, _body, _log, _text_format, _rate_limits,
    _per_filter, _filter_list,
)  # fmt: skip
