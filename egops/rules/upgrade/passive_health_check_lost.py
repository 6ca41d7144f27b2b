"""EGU-1303 passive-health-check-lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    SECURITY_POLICY,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    Entry,
    rule_backend_refs,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import entries, items, section, text
from egops.upgrade.backends import KINDS as BACKEND_KINDS
from egops.upgrade.backends import fault_of
from egops.upgrade.change import change, to_yaml, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, Attachment, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path, Resource, Snapshot

PASSIVE = {
    "interval": "10s",
    "consecutive5XxErrors": 5,
    "baseEjectionTime": "30s",
    "maxEjectionPercent": 10,
}


@rule(
    code="EGU-1303",
    severity=Severity.ERROR,
    optional=(
        *ROUTES,
        *BACKEND_KINDS,
        BACKEND_TRAFFIC_POLICY,
        SECURITY_POLICY,
        ENVOY_EXTENSION_POLICY,
        ENVOY_PATCH_POLICY,
    ),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every route with a backend has a passive health check of its own",
)
def passive_health_check_lost(snapshot: Snapshot) -> Iterator[Problem]:
    """Passive health checks were on for every backend by default and are no longer.

    ## Why it matters
    A broken endpoint of a Service with several is not ejected after five errors any more: requests
    keep failing in proportion until Kubernetes removes it. Dashboards on outlier detection go flat.

    ## How to fix it
    Attach a BackendTrafficPolicy with `healthCheck.passive` to the Gateway, and copy the block into
    each policy of a route, which replaces the Gateway's entirely.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for gateway in joined.gateways:
        yield from _gateway(joined, gateway)
    yield from _external(snapshot)
    yield from _patches(snapshot)


def _gateway(joined: World, gateway: Resource) -> Iterator[Problem]:
    losing, several = [], 0
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE):
        mine = any(found.ref == gateway.ref for found in attachment.gateways)
        if mine and _loses(joined, gateway, attachment):
            losing.append(attachment.route)
            several += len(list(items(attachment.route.spec, "rules")))
    if not losing:
        return
    snapshot = joined.snapshot
    replacing = sorted(
        {
            f"{policy.namespace}/{policy.name}"
            for route in losing
            if (policy := joined.route_policy(BACKEND_TRAFFIC_POLICY, route)) is not None
        }
    )
    copies = (f"copy the block into BackendTrafficPolicy {name}" for name in replacing)
    names = ", ".join(f"{route.kind.name} {route.namespace}/{route.name}" for route in losing[:5])
    more = f" and {len(losing) - 5} more" if len(losing) > 5 else ""
    yield change(
        snapshot,
        gateway.at(),
        f"{_count(len(losing), 'route')} with {_count(several, 'rule')} lose the default passive "
        "health check",
        evidence=(f"routes: {names}{more}",),
        today="every cluster has Envoy's outlier detection: 5 errors in a row eject an endpoint",
        after="no outlier detection unless a BackendTrafficPolicy sets healthCheck.passive",
        keep=(
            "apply the BackendTrafficPolicy below before the upgrade, or accept the loss",
            *copies,
        ),
        verify="clusters in /config_dump carry outlier_detection",
        severity=Severity.WARNING,
        fix_patch=_policy(joined, gateway),
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _policy(joined: World, gateway: Resource) -> str:
    existing = joined.gateway_policy(BACKEND_TRAFFIC_POLICY, gateway)
    name = existing.name if existing is not None else f"{gateway.name}-passive-health-check"
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway.name}
    spec: dict[str, object] = {"healthCheck": {"passive": PASSIVE}}
    if existing is None:
        spec = {"targetRefs": [target], **spec}
    head = {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "BackendTrafficPolicy"}
    metadata = {"name": name, "namespace": gateway.namespace}
    return to_yaml({**head, "metadata": metadata, "spec": spec})


def _loses(joined: World, gateway: Resource, attachment: Attachment) -> bool:
    own = joined.route_policy(BACKEND_TRAFFIC_POLICY, attachment.route)
    policy = own or joined.gateway_policy(BACKEND_TRAFFIC_POLICY, gateway)
    if policy is not None and section(policy.spec, "healthCheck", "passive"):
        return False
    return any(
        not fault_of(joined, ref, attachment.route)
        for _, entry in rules_of(attachment.route)
        for ref in rule_backend_refs(entry)
    )


def _external(snapshot: Snapshot) -> Iterator[Problem]:
    for policy in snapshot.all(SECURITY_POLICY):
        for kind in ("grpc", "http"):
            yield from _service(snapshot, _entry(policy, ("extAuth", kind)))
    for policy in snapshot.all(ENVOY_EXTENSION_POLICY):
        for index, body in items(policy.spec, "extProc"):
            yield from _service(snapshot, Entry(policy, ("spec", "extProc", index), body))
    for proxy in snapshot.all(ENVOY_PROXY):
        yield from _service(snapshot, _entry(proxy, ("telemetry", "tracing", "provider")))
        for path, sink in _sinks(proxy):
            for kind in ("als", "openTelemetry"):
                entry = Entry(proxy, (*path, kind), section(sink, kind))
                yield from _service(snapshot, entry)


def _entry(resource: Resource, path: tuple[str, ...]) -> Entry:
    return Entry(resource, ("spec", *path), section(resource.spec, *path))


def _sinks(proxy: Resource) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    place = ("telemetry", "accessLog", "settings")
    for index, setting in items(proxy.spec, *place):
        for number, sink in items(setting, "sinks"):
            yield ("spec", *place, index, "sinks", number), sink


def _service(snapshot: Snapshot, entry: Entry) -> Iterator[Problem]:
    has_backend = entries(entry.body, "backendRefs") or section(entry.body, "backendRef")
    if not has_backend or section(entry.body, "backendSettings", "healthCheck", "passive"):
        return
    yield change(
        snapshot,
        entry.at(),
        "the service behind it loses the default passive health check",
        today="its cluster has Envoy's outlier detection",
        after="it has none unless backendSettings.healthCheck.passive is set",
        keep=("set backendSettings.healthCheck.passive beside the backendRefs",),
        verify="the cluster in /config_dump carries outlier_detection",
        severity=Severity.INFO,
    )


def _patches(snapshot: Snapshot) -> Iterator[Problem]:
    for policy in snapshot.all(ENVOY_PATCH_POLICY):
        for index, patch in items(policy.spec, "jsonPatches"):
            operation = section(patch, "operation")
            path = text(operation, "path") + text(operation, "jsonPath")
            if "/outlier_detection" not in path and "outlier_detection" not in path:
                continue
            verb = text(operation, "op")
            if verb not in ("replace", "remove", "test"):
                continue
            yield change(
                snapshot,
                policy.at("spec", "jsonPatches", index, "operation", "op"),
                f"the patch has nothing to {verb} any more: clusters have no outlier_detection",
                today="the patch is applied to the outlier detection that every cluster has",
                after="it fails, and the resource is published unpatched",
                keep=("use op add with the whole outlier_detection, or a BackendTrafficPolicy",),
                verify="the EnvoyPatchPolicy is Programmed=True",
            )
