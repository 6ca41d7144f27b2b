"""What SecurityPolicies and EnvoyExtensionPolicies refer to, and which of it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import CONFIG_MAP, SECRET, Entry, object_ref
from egops.snapshot import items, section, text
from egops.upgrade.backends import KINDS as BACKEND_KINDS
from egops.upgrade.backends import Fault as BackendFault
from egops.upgrade.backends import policy_fault
from egops.upgrade.clienttraffic import Fault, missing
from egops.upgrade.settings import value_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Kind, Path, Resource
    from egops.upgrade.world import World

KINDS = (SECRET, CONFIG_MAP, *BACKEND_KINDS)
_SECRETS: tuple[tuple[Path, str], ...] = (  # where a Secret is named, and the key it must have
    (("basicAuth", "users"), ".htpasswd"),
    (("oidc", "clientSecret"), "client-secret"),
)
_BACKENDS: tuple[Path, ...] = (("extAuth", "http"), ("extAuth", "grpc"), ("oidc", "provider"))


def broken_references(world: World, policy: Resource) -> Iterator[Fault]:
    """Yield the references of a policy that lead nowhere, so that it can't be translated."""
    for path, key in _SECRETS:
        yield from _object(world, policy, path, SECRET, key)
    for index, _ in items(policy.spec, "apiKeyAuth", "credentialRefs"):
        yield from _object(world, policy, ("apiKeyAuth", "credentialRefs", index), SECRET, "")
    for path in _BACKENDS:
        yield from _backends(world, policy, path)
    for index, _ in items(policy.spec, "jwt", "providers"):
        yield from _backends(world, policy, ("jwt", "providers", index, "remoteJWKS"))
    for index, _ in items(policy.spec, "extProc"):
        yield from _backends(world, policy, ("extProc", index))
    for index, _ in items(policy.spec, "wasm"):
        where: Path = ("wasm", index, "code", "image", "pullSecretRef")
        yield from _object(world, policy, where, SECRET, ".dockerconfigjson")
    for index, body in items(policy.spec, "lua"):
        if text(body, "type") == "ValueRef":
            yield from _object(world, policy, ("lua", index, "valueRef"), CONFIG_MAP, "")


def _object(world: World, policy: Resource, path: Path, kind: Kind, key: str) -> Iterator[Fault]:
    """Yield why a Secret or ConfigMap that a policy names can't be used; no name, no fault."""
    ref = value_at(policy, ("spec", *path))
    name = text(ref, "name")
    namespace = text(ref, "namespace") or policy.namespace
    if not name or namespace != policy.namespace:
        return  # other namespaces need a grant, which is judged by whom it concerns
    label, where = f"{kind.name} {namespace}/{name}", ("spec", *path, "name")
    held = world.snapshot.find(kind, namespace, name)
    if held is None:
        fault = missing(world.snapshot, label, kind, namespace, where)
        if fault is not None:
            yield fault
        return
    given = {*section(held.body, "data"), *section(held.body, "stringData")}
    if key and key not in given and "egops.dev/redacted" not in held.annotations and given:
        yield Fault(where, f"{label} has no key {key}")


def _backends(world: World, policy: Resource, path: Path) -> Iterator[Fault]:
    holder = section(value_at(policy, ("spec", *path)))
    found = [((*path, "backendRefs", index), body) for index, body in items(holder, "backendRefs")]
    if section(holder, "backendRef"):
        found.append(((*path, "backendRef"), section(holder, "backendRef")))
    for where, body in found:
        fault = policy_fault(world, object_ref(Entry(policy, ("spec", *where), body)), policy)
        if isinstance(fault, BackendFault):
            yield Fault(("spec", *where), fault.reason, fault.possible)
