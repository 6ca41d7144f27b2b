"""What sets a known defect or security hole off: is it in this cluster?

Each trigger yields the places that set it off; nothing means that the defect sleeps here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.addresses import assigned
from egops.backends import fault_of
from egops.fleets import fleet_of
from egops.gatewayapi import (
    ENVOY_EXTENSION_POLICY,
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    HTTP_ROUTE_FILTER,
    LISTENER_SET,
    SECRET,
    SECURITY_POLICY,
    SERVICE,
    TCP_ROUTE,
    X_LISTENER_SET,
    installs,
    our_ancestors,
    our_backends,
    our_classes,
    our_gateways,
    our_routes,
    parent_refs,
    rule_backend_refs,
    rules_of,
    running_version,
)
from egops.listeners import every_listener
from egops.policies import POLICY_KINDS, targets
from egops.rules.policy.credentials_rejected import HTPASSWD, htpasswd_fault, values_of
from egops.snapshot import entries, items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egops.snapshot import Location, Snapshot

    Trigger = Callable[[Snapshot], Iterator[Location]]


def mixed_backends(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the rules with backendRefs that resolve and others that do not."""
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(route):
            faults = [fault_of(backend, snapshot) for backend in rule_backend_refs(entry)]
            if any(faults) and not all(faults):
                yield entry.at("backendRefs")


def several_classes(snapshot: Snapshot) -> Iterator[Location]:
    """Yield our GatewayClasses if Gateways use more than one."""
    used = {text(gateway.spec, "gatewayClassName") for gateway in our_gateways(snapshot)}
    found = [entry for entry in our_classes(snapshot) if entry.name in used]
    if len(found) > 1:
        yield from (entry.at() for entry in found)


def broken_patches(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the EnvoyPatchPolicies that are not applied."""
    for policy in snapshot.all(ENVOY_PATCH_POLICY):
        for ancestor in our_ancestors(policy, snapshot):
            if conditions.failed(ancestor.body, "Programmed"):
                yield policy.at()
                break


def missing_filters(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the routes that name an HTTPRouteFilter that does not exist."""
    if not snapshot.knows(HTTP_ROUTE_FILTER):
        return
    for route in our_routes(snapshot, HTTP_ROUTE, GRPC_ROUTE):
        for _, entry in rules_of(route):
            for index, body in items(entry.body, "filters"):
                ref = section(body, "extensionRef")
                if text(ref, "kind") != HTTP_ROUTE_FILTER.name:
                    continue
                if not snapshot.find(HTTP_ROUTE_FILTER, route.namespace, text(ref, "name")):
                    yield entry.at("filters", index)


def stuck_addresses(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the Gateways without an address whose Service has one."""
    for gateway in our_gateways(snapshot):
        found = conditions.failed(gateway.status, "Programmed")
        if found and found.reason == "AddressNotAssigned":
            services = fleet_of(gateway, snapshot).services
            if any(assigned(service, running_version(snapshot)) for service in services):
                yield gateway.at()


def external_names(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the backendRefs to Services of type ExternalName."""
    outside = {s.ref for s in snapshot.all(SERVICE) if text(s.spec, "type") == "ExternalName"}
    for use in our_backends(snapshot) if outside else ():
        if use.backend.ref in outside:
            yield use.backend.entry.at()


def absent_kinds(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the control plane if a kind that 1.8 watches blindly is not served."""
    names = {kind.name for kind in snapshot.absent}
    if names & {"ListenerSet", "GRPCRoute", "TLSRoute", "BackendTLSPolicy"}:
        for install in installs(snapshot):
            if install.deployment:
                yield install.deployment.at()


def policies_under_listener_sets(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the policies on routes whose parent is a ListenerSet."""
    for kind in POLICY_KINDS:
        for policy in snapshot.all(kind):
            for target, _ in targets(policy, snapshot):
                if any(
                    parent.ref and parent.ref.kind in (LISTENER_SET, X_LISTENER_SET)
                    for parent in parent_refs(target)
                ):
                    yield policy.at()
                    break


def http_ext_auth(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the SecurityPolicies with external authorization over HTTP."""
    for policy in snapshot.all(SECURITY_POLICY):
        if section(policy.spec, "extAuth", "http"):
            yield policy.at("spec", "extAuth", "http")


def several_api_keys(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the API key references whose Secret has several client IDs."""
    for policy in snapshot.all(SECURITY_POLICY):
        for index, ref in items(policy.spec, "apiKeyAuth", "credentialRefs"):
            namespace = text(ref, "namespace") or policy.namespace
            secret = snapshot.find(SECRET, namespace, text(ref, "name"))
            if secret and len(section(secret.body, "data")) > 1:
                yield policy.at("spec", "apiKeyAuth", "credentialRefs", index)


def bad_htpasswd(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the basic authentication whose htpasswd Envoy refuses."""
    for policy in snapshot.all(SECURITY_POLICY):
        ref = section(policy.spec, "basicAuth", "users")
        namespace = text(ref, "namespace") or policy.namespace
        secret = snapshot.find(SECRET, namespace, text(ref, "name")) if ref else None
        raw = values_of(secret).get(HTPASSWD) if secret else None
        if raw is not None and htpasswd_fault(raw):
            yield policy.at("spec", "basicAuth")


def otel_logs_without_text(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the access logs to OpenTelemetry without `format.text`."""
    for proxy in snapshot.all(ENVOY_PROXY):
        for index, setting in items(proxy.spec, "telemetry", "accessLog", "settings"):
            sinks = [text(sink, "type") for _, sink in items(setting, "sinks")]
            if "OpenTelemetry" in sinks and not text(setting, "format", "text"):
                yield proxy.at("spec", "telemetry", "accessLog", "settings", index)


def unused_l4_listeners(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the TCP and TLS listeners without routes."""
    for listener in every_listener(snapshot):
        if listener.protocol not in ("TCP", "TLS") or not listener.status:
            continue
        if number(listener.status, "attachedRoutes") == 0:
            yield listener.at()


def conflicting_listener_sets(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the listeners of ListenerSets that conflict over a host name."""
    for listener in every_listener(snapshot):
        found = listener.condition("Conflicted")
        if listener.owner is listener.gateway or found is None or not found.is_true:
            continue
        if found.reason == "HostnameConflict":
            yield listener.at()


def gateway_namespace_mode(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the control planes that put proxies into the namespaces of their Gateways."""
    for install in installs(snapshot):
        place = install.deployment or install.config_object
        if install.is_gateway_namespace_mode and place:
            yield place.at()


def lua(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the EnvoyExtensionPolicies with Lua."""
    for policy in snapshot.all(ENVOY_EXTENSION_POLICY):
        if entries(policy.spec, "lua"):
            yield policy.at("spec", "lua")


def wasm(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the EnvoyExtensionPolicies with Wasm."""
    for policy in snapshot.all(ENVOY_EXTENSION_POLICY):
        if entries(policy.spec, "wasm"):
            yield policy.at("spec", "wasm")


def custom_backends(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the control planes whose extension server brings kinds of backends."""
    for install in installs(snapshot):
        place = install.deployment or install.config_object
        if place and any(
            entries(manager, "backendResources") for manager in extension_managers(install.config)
        ):
            yield place.at()


def extension_managers(config: object) -> list[object]:
    """Return the extension servers of a configuration: one, or several from 1.8 on."""
    one = section(config, "extensionManager")
    return [*([one] if one else []), *entries(config, "extensionManagers")]


def security_policy_on_tcp(snapshot: Snapshot) -> Iterator[Location]:
    """Yield the SecurityPolicies that target a TCPRoute."""
    for policy in snapshot.all(SECURITY_POLICY):
        if any(target.kind == TCP_ROUTE for target, _ in targets(policy, snapshot)):
            yield policy.at()


def always(snapshot: Snapshot) -> Iterator[Location]:
    """Yield every control plane: nothing special is needed."""
    for install in installs(snapshot):
        place = install.deployment or install.config_object
        if place:
            yield place.at()
