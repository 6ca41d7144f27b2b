"""Why Envoy Gateway can't translate a BackendTLSPolicy, and which backends it protects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import BACKEND_TLS_POLICY, CONFIG_MAP, SECRET
from egops.snapshot import SourceType, entries, items, number, section, text
from egops.upgrade.pem import decoded

if TYPE_CHECKING:
    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Kind, Location, Resource, Snapshot
    from egops.upgrade.world import World

KINDS = (BACKEND_TLS_POLICY, CONFIG_MAP, SECRET)


class TLSFault(NamedTuple):
    """One error of a policy, or of the EnvoyProxy's client certificate."""

    at: Location
    reason: str
    possible: str = ""
    is_plaintext: bool = True  # what releases before 1.3 did: no TLS at all


def policy_of(world: World, ref: ObjectRef) -> Resource | None:
    """Return the BackendTLSPolicy that protects a backend of a route."""
    section_name = _section(world.snapshot, ref)
    for policy in world.tls_policies.get((ref.namespace, ref.kind_name, ref.name), ()):
        for target in _targets(policy):
            same = (text(target, "group"), text(target, "kind"), text(target, "name"))
            if same != (ref.group, ref.kind_name, ref.name):
                continue
            wanted = text(target, "sectionName")
            if not wanted or wanted == section_name:
                return policy
    return None


def _targets(policy: Resource) -> list[object]:
    single = section(policy.spec, "targetRef")
    return [*entries(policy.spec, "targetRefs"), *([single] if single else [])]


def _section(snapshot: Snapshot, ref: ObjectRef) -> str:
    if ref.port is None:
        return ""
    if ref.kind_name != "Service":
        return str(ref.port)
    service = snapshot.get(ref.ref) if ref.ref else None
    for _, port in items(service.spec if service else {}, "ports"):
        if number(port, "port") == ref.port and text(port, "name"):
            return text(port, "name")
    return ""


def policy_fault(snapshot: Snapshot, policy: Resource) -> TLSFault | None:
    """Return why no CA can be found for a policy, None if one can."""
    validation = section(policy.spec, "validation")
    if text(validation, "wellKnownCACertificates") == "System":
        return None
    bundle, possible = b"", ""
    for index, ref in items(validation, "caCertificateRefs"):
        kind = {"ConfigMap": CONFIG_MAP, "Secret": SECRET}.get(text(ref, "kind"))
        if kind is None:
            continue
        at = policy.at("spec", "validation", "caCertificateRefs", index, "name")
        name = text(ref, "name")
        holders = [found for found in snapshot.all(kind) if found.name == name]
        if not holders and kind not in snapshot.resources:
            possible = f"certain if {kind.name} {policy.namespace}/{name} is in no other file"
            if snapshot.source.type is SourceType.CLUSTER:
                return None
        for holder in holders:
            ca = _ca(holder, kind)
            if ca is None:
                elsewhere = holder.namespace != policy.namespace
                return TLSFault(
                    at,
                    f"{kind.name} {holder.namespace}/{name} has no ca.crt",
                    "Envoy Gateway looks the name up in every namespace it reads; certain if it "
                    f"reads {holder.namespace}"
                    if elsewhere
                    else "",
                )
            bundle += ca
    if bundle.strip():
        return None
    at = policy.at("spec", "validation", *(("caCertificateRefs",) if validation else ()))
    return TLSFault(at, f"no CA is found for BackendTLSPolicy {policy.name}", possible)


def _ca(holder: Resource, kind: Kind) -> bytes | None:
    """Return the CA of a ConfigMap or Secret, None if it has no such key."""
    if "egops.dev/redacted" in holder.annotations:
        return b"-"
    held = section(holder.body, "data")
    if "ca.crt" in held:
        return decoded(held["ca.crt"]) if kind == SECRET else str(held["ca.crt"] or "").encode()
    value = text(holder.body, "stringData", "ca.crt")
    return value.encode() if value else None


def client_certificate_fault(snapshot: Snapshot, proxy: Resource | None) -> TLSFault | None:
    """Return why the EnvoyProxy's client certificate for backends can't be used."""
    place = ("backendTLS", "clientCertificateRef")
    ref = section(proxy.spec, *place) if proxy else {}
    if proxy is None or not ref:
        return None
    name, namespace = text(ref, "name"), text(ref, "namespace") or proxy.namespace
    if namespace != proxy.namespace:
        reason = f"Secret {namespace}/{name} is not in the EnvoyProxy's namespace"
        return TLSFault(proxy.at("spec", *place, "namespace"), reason, is_plaintext=False)
    if snapshot.find(SECRET, namespace, name) is not None:
        return None
    if SECRET not in snapshot.resources:
        if snapshot.source.type is SourceType.CLUSTER:
            return None
        possible = f"certain if Secret {namespace}/{name} is in no other file"
    else:
        possible = ""
    reason = f"Secret {namespace}/{name} does not exist"
    return TLSFault(proxy.at("spec", *place, "name"), reason, possible, is_plaintext=False)
