"""The shapes in which config dumps come: Envoy's, one section of it, egctl's; and what is none."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct

from egops.errors import InputError
from egops.xds.raw import type_of

ADMIN = "type.googleapis.com/envoy.admin.v3."
SECTIONS = (
    "BootstrapConfigDump",
    "ClustersConfigDump",
    "EndpointsConfigDump",
    "ListenersConfigDump",
    "ScopedRoutesConfigDump",
    "RoutesConfigDump",
    "SecretsConfigDump",
    "EcdsConfigDump",
)


class _Configs(Struct, gc=False):
    configs: list[Raw] | None = None


def split(raw: bytes) -> list[tuple[str, list[Raw]]]:
    """Return the dumps in `raw` as (name, raw sections); the name is empty or `namespace/pod`.

    Knows Envoy's own form, a single section, and what `egctl config envoy-proxy` prints
    (`{namespace: {pod: dump}}`, camelCase, optionally under `envoyProxy`).

    Raises:
        InputError: it is not JSON, or no dump.
    """
    try:
        return _split(raw)
    except msgspec.ValidationError as exc:
        raise InputError(f"the JSON is no Envoy config dump: {exc}") from None
    except msgspec.DecodeError as exc:
        raise InputError(f"not a config dump: {_looks_like(raw)}", hint=str(exc)) from None


def _split(raw: bytes) -> list[tuple[str, list[Raw]]]:
    if type_of(raw).startswith(ADMIN):
        return [("", _snake([Raw(raw)]))]
    if (configs := msgspec.json.decode(raw, type=_Configs).configs) is not None:
        return [("", _snake(configs))]
    outer = msgspec.json.decode(raw, type=dict[str, Raw])
    if len(outer) == 1 and "envoyProxy" in outer:
        outer = msgspec.json.decode(outer["envoyProxy"], type=dict[str, Raw])
    found = [
        (f"{namespace}/{pod}", _snake(configs))
        for namespace, pods in outer.items()
        if _is_object(pods)
        for pod, dump in msgspec.json.decode(pods, type=dict[str, Raw]).items()
        if _is_object(dump) and (configs := _configs(dump)) is not None
    ]
    if not found:
        keys = ", ".join(list(outer)[:5]) or "an empty object"
        raise InputError(
            f"the JSON is no Envoy config dump: it has the keys {keys}",
            hint="save one with: curl 'http://127.0.0.1:19000/config_dump?include_eds'",
        )
    return found


def _is_object(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _configs(dump: Raw) -> list[Raw] | None:
    if type_of(dump).startswith(ADMIN):
        return [dump]
    return msgspec.json.decode(dump, type=_Configs).configs


def _looks_like(raw: bytes) -> str:
    head = raw[:512].lstrip().lower()
    if not head:
        return "the input is empty"
    if head.startswith((b"<!doctype", b"<html", b"<head")):
        return "the input is an HTML page"
    if raw[:2] == b"\x1f\x8b":
        return "the input is compressed"
    if head[:1] in b"{[":
        return f"the JSON is broken or cut off after {len(raw):,} bytes"
    return "the input is not JSON"


_CAMEL = re.compile(rb'"(?:dynamic|static)[A-Z]\w+"|"versionInfo"|"lastUpdated"')


def _snake(configs: list[Raw]) -> list[Raw]:
    """Return the sections with Envoy's field names; egctl prints protobuf JSON's camelCase."""
    if not any(_is_camel(memoryview(raw)) for raw in configs):
        return configs
    return [Raw(orjson.dumps(_snake_keys(orjson.loads(bytes(raw))))) for raw in configs]


def _is_camel(raw: memoryview) -> bool:
    return any(_CAMEL.search(bytes(part)) for part in (raw[:4096], raw[-4096:]))


# maps and structs whose keys are data, not field names
_OPAQUE = {
    "filterMetadata", "filter_metadata", "typedFilterMetadata", "staticLayer", "jsonFormat",
    "environmentVariables", "keyValues",
}  # fmt: skip
_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


def _snake_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake_keys(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        _UPPER.sub(r"_\1", key).lower() if key.isidentifier() else key: entry
        if key in _OPAQUE
        else _snake_keys(entry)
        for key, entry in value.items()
    }
