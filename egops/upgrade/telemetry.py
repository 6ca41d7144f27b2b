"""Where an EnvoyProxy names the backends of its telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import SERVICE
from egops.snapshot import entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot

_SINKS = ("als", "openTelemetry")


def backends(proxy: Resource) -> Iterator[Path]:
    """Yield the place of each access log, trace and metrics backend that names a Service."""
    logs = ("telemetry", "accessLog", "settings")
    for index, setting in items(proxy.spec, *logs):
        for place, sink in items(setting, "sinks"):
            for kind in _SINKS:
                if _names(section(sink, kind)):
                    yield ("spec", *logs, index, "sinks", place, kind)
    tracing = ("telemetry", "tracing", "provider")
    if _names(section(proxy.spec, *tracing)):
        yield ("spec", *tracing)
    metrics = ("telemetry", "metrics", "sinks")
    for index, sink in items(proxy.spec, *metrics):
        if _names(section(sink, "openTelemetry")):
            yield ("spec", *metrics, index, "openTelemetry")


def _names(body: object) -> bool:
    return bool(entries(body, "backendRefs") or section(body, "backendRef"))


def reaches(snapshot: Snapshot, proxy: Resource, body: object) -> bool:
    """Return whether no backend of the telemetry is known to be missing."""
    for _, ref in items(body, "backendRefs"):
        namespace = text(ref, "namespace") or proxy.namespace
        is_known = any(found.namespace == namespace for found in snapshot.all(SERVICE))
        if text(ref, "kind") not in ("", "Service") or not is_known:
            continue
        service = snapshot.find(SERVICE, namespace, text(ref, "name"))
        listed = items(service.spec, "ports") if service is not None else ()
        if number(ref, "port") not in [number(port, "port") for _, port in listed]:
            return False
    return True
