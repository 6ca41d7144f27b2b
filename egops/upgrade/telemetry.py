"""Where an EnvoyProxy names the backends of its telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.snapshot import entries, items, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource

_SINKS = ("als", "openTelemetry")


def backends(proxy: Resource) -> Iterator[Path]:
    """Yield the place of each access log, trace and metrics backend that names a Service."""
    logs = ("telemetry", "accessLog", "settings")
    for index, setting in items(proxy.spec, *logs):
        for number, sink in items(setting, "sinks"):
            for kind in _SINKS:
                if _names(section(sink, kind)):
                    yield ("spec", *logs, index, "sinks", number, kind)
    tracing = ("telemetry", "tracing", "provider")
    if _names(section(proxy.spec, *tracing)):
        yield ("spec", *tracing)
    metrics = ("telemetry", "metrics", "sinks")
    for index, sink in items(proxy.spec, *metrics):
        if _names(section(sink, "openTelemetry")):
            yield ("spec", *metrics, index, "openTelemetry")


def _names(body: object) -> bool:
    return bool(entries(body, "backendRefs") or section(body, "backendRef"))
