"""EGU-0014 deprecated-field-in-use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import EG_POLICY_KINDS, ENVOY_GATEWAY, ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGU-0014",
    severity=Severity.INFO,
    optional=(*EG_POLICY_KINDS, ENVOY_PROXY, ENVOY_GATEWAY),
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://gateway.envoyproxy.io/docs/api/extension_types/",
    ok="no object uses a deprecated field",
)
def deprecated_field_in_use(snapshot: Snapshot) -> Iterator[Problem]:
    """An object uses a field that is deprecated: it works, and will go.

    ## Why it matters
    Deprecated fields are dropped in some later release; the CRDs prune them then.

    ## How to fix it
    Use the field that replaces it.
    """
    upgrade_of(snapshot)
    for resource, path, instead in _found(snapshot):
        yield change(
            snapshot,
            resource.at(*path),
            f"{path[-1]} is deprecated, {instead} replaces it",
            today="it works",
            after="it works, until a later release drops it",
            keep=(f"use {instead}",),
        )


def _found(snapshot: Snapshot) -> Iterator[tuple[Resource, Path, str]]:
    for kind in EG_POLICY_KINDS:
        for policy in snapshot.all(kind):
            if section(policy.spec, "targetRef") and kind.name != "EnvoyPatchPolicy":
                yield policy, ("spec", "targetRef"), "targetRefs"
    for proxy in snapshot.all(ENVOY_PROXY):
        for path in _hosts(proxy):
            yield proxy, path, "backendRefs"
    for config in snapshot.all(ENVOY_GATEWAY):
        if "host" in section(config.body, "extensionManager", "service"):
            yield config, ("extensionManager", "service", "host"), "fqdn, ip or unix"


def _hosts(proxy: Resource) -> Iterator[Path]:
    telemetry: Path = ("spec", "telemetry")
    if "host" in section(proxy.spec, "telemetry", "tracing", "provider"):
        yield (*telemetry, "tracing", "provider", "host")
    for index, sink in items(proxy.spec, "telemetry", "metrics", "sinks"):
        if "host" in section(sink, "openTelemetry"):
            yield (*telemetry, "metrics", "sinks", index, "openTelemetry", "host")
    for index, setting in items(proxy.spec, "telemetry", "accessLog", "settings"):
        for number, sink in items(setting, "sinks"):
            if "host" in section(sink, "openTelemetry"):
                where = ("accessLog", "settings", index, "sinks", number, "openTelemetry", "host")
                yield (*telemetry, *where)
