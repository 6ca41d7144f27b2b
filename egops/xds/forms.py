"""The same setting in one form: releases of Envoy Gateway write some settings in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.xds.names import parse_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_CA = "system CA"
_PER_FILTER = ("typed_per_filter_config",)
_FILTERS = ("http_filters", "upstream_http_filters")


def canonical(value: Any, stands_for: Mapping[str, str]) -> Any:
    """Return plain JSON in one form, names of other resources told as `stands_for` says."""
    if isinstance(value, list):
        return [canonical(entry, stands_for) for entry in value]
    if isinstance(value, str):
        return stands_for.get(value, value)
    if not isinstance(value, dict):
        return value
    value = {
        key: _named(entry) if key in _PER_FILTER else _list(entry) if key in _FILTERS else entry
        for key, entry in value.items()
        if key != "metadata" and not _is_ours(key, entry)
    }
    for form in (_load_balancing, _header_match, _dns, _tls):
        value = form(value)
    return {key: canonical(entry, stands_for) for key, entry in value.items()}


def _is_ours(key: str, entry: Any) -> bool:
    """Return whether a field only tells who made the resource, or repeats a default."""
    return key == "filter_metadata" and isinstance(entry, dict) and set(entry) == {"envoy-gateway"}


def _named(configs: Any) -> Any:
    """Key the configurations of filters by the filter, not by the policy in its name."""
    if not isinstance(configs, dict):
        return configs
    found: dict[str, Any] = {}
    for name, entry in configs.items():
        base = parse_filter(name).base
        found[name if base in found else base] = entry
    return found


def _list(filters: Any) -> Any:
    """Name filters by what they are; several of a kind are numbered in their order."""
    if not isinstance(filters, list):
        return filters
    seen: dict[str, int] = {}
    found = []
    for entry in filters:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            found.append(entry)
            continue
        base = parse_filter(entry["name"]).base
        seen[base] = seen.get(base, 0) + 1
        name = base if seen[base] == 1 else f"{base} #{seen[base]}"
        found.append({**entry, "name": name})
    return found


_POLICIES = {
    "ROUND_ROBIN": "round_robin", "LEAST_REQUEST": "least_request", "RANDOM": "random",
    "MAGLEV": "maglev", "RING_HASH": "ring_hash",
}  # fmt: skip


def _load_balancing(value: dict[str, Any]) -> dict[str, Any]:
    """Write a cluster's balancing the new way (1.7 on): one policy with its locality settings."""
    old = _POLICIES.get(str(value.get("lb_policy")))
    common = value.get("common_lb_config")
    if old is not None:
        value = {key: entry for key, entry in value.items() if key != "lb_policy"}
        config = value.pop(f"{old}_lb_config", None)
        settings = dict(config) if isinstance(config, dict) else {}
        if isinstance(common, dict) and "locality_weighted_lb_config" in common:
            rest = {k: v for k, v in common.items() if k != "locality_weighted_lb_config"}
            value.pop("common_lb_config")
            if rest:
                value["common_lb_config"] = rest
            settings["locality_lb_config"] = {"locality_weighted_lb_config": {}}
        value["load balancing"] = {old: settings}
    policies = value.get("load_balancing_policy")
    entries = policies.get("policies") if isinstance(policies, dict) else None
    if isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], dict):
        extension = entries[0].get("typed_extension_config")
        if isinstance(extension, dict) and isinstance(extension.get("name"), str):
            name = extension["name"].rpartition(".")[2]
            config = extension.get("typed_config")
            settings = dict(config) if isinstance(config, dict) else {}
            settings.pop("@type", None)
            value = {k: v for k, v in value.items() if k != "load_balancing_policy"}
            if value.get("common_lb_config") == {}:
                del value["common_lb_config"]
            value["load balancing"] = {name: settings}
    return value


def _header_match(value: dict[str, Any]) -> dict[str, Any]:
    """Write a header's match the new way (1.4 on): inside `string_match`."""
    for old, new in (
        ("exact_match", "exact"),
        ("prefix_match", "prefix"),
        ("suffix_match", "suffix"),
        ("contains_match", "contains"),
        ("safe_regex_match", "safe_regex"),
    ):
        if old in value and "name" in value:
            value = {**value, "string_match": {new: value[old]}}
            del value[old]
    return value


def _dns(value: dict[str, Any]) -> dict[str, Any]:
    """Drop the family of addresses where none is ever resolved."""
    if value.get("type") == "EDS" or "eds_cluster_config" in value:
        return {key: entry for key, entry in value.items() if key != "dns_lookup_family"}
    return value


def _tls(value: dict[str, Any]) -> dict[str, Any]:
    """Write the system's CA one way: as an inline file or a secret it is the same to Envoy."""
    combined = value.get("combined_validation_context")
    inline = value.get("validation_context")
    if isinstance(combined, dict):
        source = combined.get("validation_context_sds_secret_config")
        name = source.get("name") if isinstance(source, dict) else None
        default = combined.get("default_validation_context")
        sans = default.get("match_typed_subject_alt_names") if isinstance(default, dict) else None
        if name == "system_ca_certificates" or str(name).endswith("/system-ca"):
            rest = {k: v for k, v in value.items() if k != "combined_validation_context"}
            return {**rest, "ca": SYSTEM_CA, "names": sans}
    if isinstance(inline, dict):
        anchor = inline.get("trusted_ca")
        if isinstance(anchor, dict) and anchor.get("filename"):
            rest = {k: v for k, v in value.items() if k != "validation_context"}
            return {**rest, "ca": SYSTEM_CA, "names": inline.get("match_typed_subject_alt_names")}
    return value
