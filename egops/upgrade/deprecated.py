"""Fields that are deprecated: since which minor, and what replaces them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    EG_POLICY_KINDS,
    ENVOY_EXTENSION_POLICY,
    ENVOY_GATEWAY,
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    SECURITY_POLICY,
)
from egops.upgrade.change import change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Kind, Path, Resource, Snapshot

KINDS = (*EG_POLICY_KINDS, ENVOY_PROXY, ENVOY_GATEWAY)
_LOG = "spec.telemetry.accessLog.settings[].sinks[].openTelemetry"
_BY_KIND: tuple[tuple[tuple[Kind, ...], str, str, tuple[int, int]], ...] = (
    (
        tuple(kind for kind in EG_POLICY_KINDS if kind != ENVOY_PATCH_POLICY),
        "spec.targetRef", "targetRefs", (1, 1),
    ),
    ((ENVOY_PROXY,), "spec.telemetry.tracing.provider.host", "backendRefs", (1, 1)),
    ((ENVOY_PROXY,), "spec.telemetry.metrics.sinks[].openTelemetry.host", "backendRefs", (1, 1)),
    ((ENVOY_PROXY,), f"{_LOG}.host", "backendRefs", (1, 1)),
    ((ENVOY_GATEWAY,), "extensionManager.service.host", "fqdn, ip or unix", (1, 1)),
    ((SECURITY_POLICY,), "spec.extAuth.http.backendRef", "backendRefs", (1, 1)),
    ((SECURITY_POLICY,), "spec.extAuth.grpc.backendRef", "backendRefs", (1, 1)),
    ((ENVOY_EXTENSION_POLICY,), "spec.extProc[].backendRef", "backendRefs", (1, 1)),
    ((CLIENT_TRAFFIC_POLICY,), "spec.headers.preserveXRequestID", "requestID", (1, 4)),
    ((CLIENT_TRAFFIC_POLICY,), "spec.enableProxyProtocol", "proxyProtocol", (1, 5)),
    ((BACKEND_TRAFFIC_POLICY,), "spec.compression", "compressor", (1, 6)),
    ((BACKEND_TRAFFIC_POLICY,), "spec.loadBalancer.consistentHash.header", "headers", (1, 6)),
    ((BACKEND_TRAFFIC_POLICY,), "spec.rateLimit.type", "global and local alone", (1, 6)),
    ((ENVOY_PROXY,), f"{_LOG}.resources", "resourceAttributes", (1, 7)),
    ((ENVOY_PROXY,), "spec.telemetry.tracing.customTags", "tags", (1, 7)),
    ((CLIENT_TRAFFIC_POLICY,), "spec.tls.clientValidation.optional", "mode", (1, 8)),
    ((ENVOY_GATEWAY,), "extensionApis.disableLua", "enableLua", (1, 9)),
)  # fmt: skip


class Deprecated(NamedTuple):
    """One use of a deprecated field."""

    resource: Resource
    path: Path
    instead: str
    since: tuple[int, int]

    def problem(self, snapshot: Snapshot) -> Problem:
        """Return what is to be said of it."""
        return change(
            snapshot,
            self.resource.at(*self.path),
            f"{self.path[-1]} is deprecated, {self.instead} replaces it",
            today="it works",
            after="it works, until a later release drops it",
            keep=(f"use {self.instead} once the upgrade is done",),
        )


def deprecated(snapshot: Snapshot) -> Iterator[Deprecated]:
    """Yield every use of a deprecated field, whatever the step."""
    for kinds, dotted, instead, since in _BY_KIND:
        parts = dotted.replace("[]", ".[]").split(".")
        for kind in kinds:
            for resource in snapshot.all(kind):
                for path in _found(resource.body, parts, ()):
                    yield Deprecated(resource, path, instead, since)


def newly_deprecated(snapshot: Snapshot, minor: tuple[int, int]) -> Iterator[Problem]:
    """Yield the uses of the fields that a minor deprecates."""
    for found in deprecated(snapshot):
        if found.since == minor:
            yield found.problem(snapshot)


def _found(value: Any, parts: list[str], done: Path) -> Iterator[Path]:
    if not parts:
        if value is not None:
            yield done
    elif parts[0] == "[]":
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            yield from _found(entry, parts[1:], (*done, index))
    elif isinstance(value, dict) and parts[0] in value:
        yield from _found(value[parts[0]], parts[1:], (*done, parts[0]))
