"""Take secrets out of what is saved. What is left still tells what was there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from egops.gatewayapi import (
    APPLICATION,
    CONFIG_MAP,
    CONFIG_NAME,
    EG,
    ENVOY_GATEWAY,
    GWAPI,
    HELM_RELEASE,
    HELM_VALUES,
    SECRET,
)
from egops.gather.lists import LAST_APPLIED
from egops.snapshot import Ref, items, section, text
from egops.xds.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

GONE = "[redacted]"
KEYS = "egops.dev/keys"  # annotation: the names of the values that a secret had

_TEXT = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), replacement)
    for pattern, replacement in (
        (
            rb'-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^"]*?-----END [A-Z ]*PRIVATE KEY-----|[^"]*)',
            b"[redacted]",
        ),
        (rb"(://)[^/@\s\"'\\]+@", rb"\1[redacted]@"),
        (  # with a digit or padding: `basic authentication` is none
            rb"\b(Bearer|Basic)(\s+)(?=[\w.~+/-]*[0-9=])[\w.~+/-]{6,}=*",
            rb"\1\2[redacted]",
        ),
        (rb"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", b"[redacted]"),
        (  # in JSON, also in JSON inside a string
            rb'(\\?"(?:(?:set-)?cookie|x-api-key|authorization)\\?"\s*:\s*\\?")[^"\\]+',
            rb"\1[redacted]",
        ),
        (  # in a line of text
            rb"\b((?:set-)?cookie|x-api-key|authorization)(=|:\s+)"
            rb"(?:(?:Bearer|Basic)\s+)?"
            rb"[^\s\"\\,;}\]]+",
            rb"\1\2[redacted]",
        ),
        (  # a header that a route sets: {"key": "authorization", "value": "…"}
            rb'("(?:key|name)"\s*:\s*"(?:authorization|cookie|set-cookie|x-api-key)"\s*,\s*'
            rb'"(?:value|raw_value)"\s*:\s*")[^"]*"',
            rb'\1[redacted]"',
        ),
        (  # in the query of a logged path
            rb"([?&](?:access_token|id_token|refresh_token|token|api_?key|password|passwd|secret"
            rb"|code|signature|sig)=)[^&\s\"\\#]+",
            rb"\1[redacted]",
        ),
    )
)
# kinds that hold settings as people wrote them, passwords among them
_SETTINGS = frozenset({APPLICATION, ENVOY_GATEWAY, HELM_RELEASE, HELM_VALUES})
_SECRET_FIELD = re.compile(
    r"(?:password|passwd|passphrase|token|secret|credentials?|api_?key|private_?key)$",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)


def redacted(raw: bytes) -> bytes:
    """Return a document or log without keys, tokens, cookies and passwords; JSON stays JSON."""
    for pattern, replacement in _TEXT:
        raw = pattern.sub(replacement, raw)
    return raw


def redacted_dump(raw: bytes) -> bytes:
    """Return Envoy's configuration without key material, also what Envoy itself shows of it."""
    return redacted(orjson.dumps(redact(orjson.loads(raw))))


def named_config_maps(snapshot: Snapshot) -> frozenset[Ref]:
    """Return the config maps that objects of ours refer to: of others only the names matter."""
    found = {each.ref for each in snapshot.all(CONFIG_MAP) if each.name == CONFIG_NAME}
    for kind, resources in snapshot.resources.items():
        if kind.group in (GWAPI, EG):
            for resource in resources:
                found |= set(_config_maps(resource.body, resource.namespace))
    return frozenset(found)


def _config_maps(value: Any, namespace: str) -> Iterator[Ref]:
    if isinstance(value, list):
        for entry in value:
            yield from _config_maps(entry, namespace)
    elif isinstance(value, dict):
        if value.get("kind") == CONFIG_MAP.name and text(value, "name"):
            yield Ref(CONFIG_MAP, text(value, "namespace") or namespace, text(value, "name"))
        for entry in value.values():
            if isinstance(entry, (dict, list)):
                yield from _config_maps(entry, namespace)


def without_data(body: dict[str, Any]) -> dict[str, Any]:
    """Return a config map's or secret's body with the names of its values alone."""
    names = {*section(body, "data"), *section(body, "stringData"), *section(body, "binaryData")}
    fields = ("data", "stringData", "binaryData")
    left = {key: value for key, value in body.items() if key not in fields}
    if names:
        metadata = dict(section(body, "metadata"))
        annotations = {**section(metadata, "annotations"), KEYS: ", ".join(sorted(names))}
        left["metadata"] = {**metadata, "annotations": annotations}
    return left


def redacted_object(resource: Resource) -> dict[str, Any]:
    """Return the body without a secret's values and without environment values that are secret.

    The copy shares what it does not change with the original.
    """
    body = dict(resource.body)
    metadata = dict(resource.metadata)
    annotations = {key: value for key, value in resource.annotations.items() if key != LAST_APPLIED}
    metadata["annotations"] = annotations
    body["metadata"] = metadata
    if resource.kind == SECRET:
        return without_data(body)
    if resource.kind in _SETTINGS:
        body = _without_settings(body)
    for path in (("spec",), ("spec", "template", "spec"), ("spec", "jobTemplate", "spec")):
        pod = section(body, *path)
        if any(_secret_values(pod)):
            body = _without_values(body)
            break
    return body


def _without_settings(value: Any) -> Any:
    """Return a copy in which fields with telling names have no text."""
    if isinstance(value, list):
        return [_without_settings(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: GONE
        if isinstance(entry, str) and entry and _SECRET_FIELD.search(str(key))
        else _without_settings(entry)
        for key, entry in value.items()
    }


def _secret_values(pod: Any) -> Iterator[str]:
    for field in ("containers", "initContainers"):
        for _, container in items(pod, field):
            for _, variable in items(container, "env"):
                if "value" in variable and _SECRET_NAME.search(text(variable, "name")):
                    yield text(variable, "name")


def _without_values(value: Any) -> Any:
    """Return a copy in which environment variables with telling names have no value."""
    if isinstance(value, list):
        return [_without_values(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("value"), str) and _SECRET_NAME.search(text(value, "name")):
        return {**value, "value": GONE}
    return {key: _without_values(entry) for key, entry in value.items()}
