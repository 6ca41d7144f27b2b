"""What differs between Envoy versions in how they match, and how a bootstrap overrides it."""

from __future__ import annotations

from typing import Any, NamedTuple

Version = tuple[int, int, int]
NEWEST: Version = (1, 40, 0)
EMPTY_AUTHORITY: Version = (1, 37, 0)
# one security release that fixed the same on every branch
_MID_2026 = {36: 10, 37: 6, 38: 4, 39: 1}


class Behaviour(NamedTuple):
    """How one Envoy matches, where versions or its runtime differ."""

    version: Version = NEWEST
    version_known: bool = False
    each_header_line: bool = True  # a header matcher looks at each line, not at all joined by `,`
    dot_parameters: bool = True  # `/..;x/` is a dot segment
    segment_parameters: bool = True  # parameters are ignored per segment, not from the first `;` on
    query_method: bool = True  # the method QUERY exists
    keeps_stream_duration: bool = False  # `x-envoy-upstream-stream-duration-ms` of strangers
    refuses_empty_authority: bool = True  # in HTTP/2
    rejects_fragment: bool = True  # `#` in the path is a 400
    runtime: dict[str, Any] = {}  # noqa: RUF012 - never written to

    @property
    def name(self) -> str:
        """Return `1.36.2`."""
        return ".".join(str(part) for part in self.version)


def behaviour(bootstrap: dict[str, Any]) -> Behaviour:
    """Return how the Envoy with this bootstrap matches; the newest one's way if it tells none."""
    found = _version(bootstrap)
    version = found or NEWEST
    runtime = _runtime(bootstrap)
    patched = version[2] >= _MID_2026.get(version[1], 0) and version[:2] >= (1, 36)

    def guard(name: str, default: bool) -> bool:  # noqa: FBT001 - private
        value = runtime.get(f"envoy.reloadable_features.{name}", default)
        return value not in (False, "false", "False", 0, "0")

    return Behaviour(
        version=version,
        version_known=found is not None,
        each_header_line=guard("match_headers_individually", version >= (1, 39, 0)),
        dot_parameters=guard("strip_dotdot_segments_with_parameters", patched),
        segment_parameters=guard("strip_path_parameters_per_segment", patched),
        query_method=guard("http1_allow_query_method", version >= (1, 40, 0)),
        keeps_stream_duration=not guard(
            "sanitize_upstream_stream_duration_header", version >= (1, 40, 0)
        ),
        refuses_empty_authority=version >= EMPTY_AUTHORITY,
        rejects_fragment=guard("http_reject_path_with_fragment", default=True),
        runtime=runtime,
    )


def _version(bootstrap: dict[str, Any]) -> Version | None:
    value: Any = bootstrap
    for key in ("node", "user_agent_build_version", "version"):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        return None
    parts = [value.get(key, 0) for key in ("major_number", "minor_number", "patch")]
    major, minor, patch = (part if isinstance(part, int) else 0 for part in parts)
    return (major, minor, patch) if major else None


def _runtime(bootstrap: dict[str, Any]) -> dict[str, Any]:
    """Return the runtime that the bootstrap sets; what an operator changed live is not in it."""
    layers = bootstrap.get("layered_runtime")
    found: dict[str, Any] = {}
    for layer in layers.get("layers") or [] if isinstance(layers, dict) else []:
        static = layer.get("static_layer") if isinstance(layer, dict) else None
        if isinstance(static, dict):
            _flatten("", static, found)
    return found


def _flatten(prefix: str, value: dict[str, Any], found: dict[str, Any]) -> None:
    for key, entry in value.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(entry, dict) and not entry.keys() <= {"numerator", "denominator"}:
            _flatten(name, entry, found)
        else:
            found[name] = entry
