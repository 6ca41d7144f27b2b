"""What two translations of one input mean, and where they differ."""

from __future__ import annotations

import json
from typing import Any

from tools.translate.canonical import World, canonical, is_ours

DEFAULT_JSON = {"start_time": "%START_TIME%", "method": "%REQ(:METHOD)%"}
DEFAULT_TEXT = '{"start_time":"%START_TIME%","method":"%REQ(:METHOD)%"'
SECRETS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
LIMIT = 40
SHARED_CA = "system_ca_certificates"  # one secret for all instead of one each: EGU-1907
WITHHELD = "nothing is published"


def meaning(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what the proxies get and the Gateways say, without what every input changes."""
    if answer.get("panic") or answer.get("error"):
        return {"all": answer.get("panic") or answer.get("error")}
    found: dict[str, Any] = {}
    for key, types in answer.get("xds", {}).items():
        withheld = key in answer.get("irErrors", {}) or "panic" in answer["xdsErrors"].get(key, "")
        found[key] = WITHHELD if withheld else _resources(types)
    for key in answer.get("irErrors", {}):
        found.setdefault(key, WITHHELD)
    for key, error in answer.get("xdsErrors", {}).items():
        if "panic" in error:
            found[key] = WITHHELD
    found["accepted"] = _accepted(answer.get("result") or {})
    return found


def _accepted(result: dict[str, Any]) -> dict[str, bool]:
    found = {}
    for gateway in result.get("gateways") or []:
        name = f"{gateway['metadata'].get('namespace')}/{gateway['metadata']['name']}"
        conditions = gateway.get("status", {}).get("conditions") or []
        found[name] = not any(
            entry["type"] == "Accepted" and entry["status"] == "False" for entry in conditions
        )
    return found


def _resources(types: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    system = frozenset(
        secret["name"]
        for secret in types.get(SECRETS, [])
        if secret.get("validation_context", {}).get("trusted_ca", {}).get("filename")
    )
    world = World(types)
    for kind, resources in types.items():
        short = kind.rpartition(".")[2]
        for resource in resources:
            name = resource.get("name") or resource.get("cluster_name") or "?"
            if not is_ours(short, name):
                kept[f"{short} {name}"] = canonical(short, _plain(resource, system), world)
    rest = {key: value for key, value in kept.items() if not key.startswith(_CLUSTERISH)}
    used = json.dumps(rest)
    return {
        key: value
        for key, value in kept.items()
        if key in rest or json.dumps(key.split(" ", 1)[1]) in used
    }


_CLUSTERISH = ("Cluster ", "ClusterLoadAssignment ", "Secret ")


def _plain(value: Any, system: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_plain(entry, system) for entry in value]
    if not isinstance(value, dict):
        return value
    value = dict(value)
    if value.get("outlier_detection") == {}:
        del value["outlier_detection"]
    if value.get("type") == "EDS" or "eds_cluster_config" in value:
        value.pop("dns_lookup_family", None)
    form = value.get("log_format")
    if isinstance(form, dict):
        text = form.get("text_format_source", {}).get("inline_string", "")
        fields = form.get("json_format") or {}
        if text.startswith(DEFAULT_TEXT) or DEFAULT_JSON.items() <= fields.items():
            value["log_format"] = "default"
    context = value.get("common_tls_context")
    if isinstance(context, dict):
        value["common_tls_context"] = _tls(context, system)
    return {key: _plain(entry, system) for key, entry in value.items()}


def _tls(context: dict[str, Any], system: frozenset[str]) -> dict[str, Any]:
    """Write the system's CA one way: inline file or secret are the same to the proxy."""
    inline = context.get("validation_context", {})
    file = inline.get("trusted_ca", {}).get("filename")
    if file:
        names = inline.get("match_typed_subject_alt_names")
        rest = {key: entry for key, entry in context.items() if key != "validation_context"}
        return {**rest, "system-ca": names}
    combined = context.get("combined_validation_context", {})
    if combined:
        names = combined.get("default_validation_context", {}).get("match_typed_subject_alt_names")
        secret = combined.get("validation_context_sds_secret_config", {}).get("name")
        rest = {k: v for k, v in context.items() if k != "combined_validation_context"}
        if secret == SHARED_CA:
            return {**rest, "system-ca": names, "shared": True}
        if secret in system:
            return {**rest, "system-ca": names}
        return {**rest, "ca": secret, "names": names}
    return context


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the paths at which two meanings differ."""
    found: list[str] = []
    _compare(before, after, "", found)
    return found


def _compare(one: Any, other: Any, path: str, found: list[str]) -> None:
    if len(found) > LIMIT:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one:
                found.append(f"{path}/{key}: only after: {_short(other[key])}")
            elif key not in other:
                found.append(f"{path}/{key}: only before: {_short(one[key])}")
            else:
                _compare(one[key], other[key], f"{path}/{key}", found)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            _compare(left, right, f"{path}/{index}", found)
    elif one != other:
        found.append(f"{path}: {_short(one)} -> {_short(other)}")


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 160 else f"{text[:157]}..."
