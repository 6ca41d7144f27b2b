"""Every certificate that an installation lives on: where it is kept, who uses it, who renews it.

Pure. Keys are never looked at.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.certs import CertificateError, read_chain
from egops.gatewayapi import (
    BACKEND,
    BACKEND_TLS_POLICY,
    CERTIFICATE,
    CLIENT_TRAFFIC_POLICY,
    CONFIG_MAP,
    ENVOY_PROXY,
    MUTATING_WEBHOOK,
    OURS,
    SECRET,
    SECURITY_POLICY,
    Entry,
    is_proxy,
    object_ref,
    per_snapshot,
)
from egops.pki import (
    certificates,
    control_plane_secrets,
    listener_secrets,
)
from egops.renewal import renewer
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.certs import Certificate
    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Location, Path, Ref, Resource, Snapshot

USER_KINDS = (CLIENT_TRAFFIC_POLICY, BACKEND_TLS_POLICY, BACKEND, ENVOY_PROXY)
"""The kinds in which users name certificates, besides listeners."""
READS = (*OURS, SECRET, CONFIG_MAP, MUTATING_WEBHOOK, CERTIFICATE, *USER_KINDS)
"""What the inventory looks at; kinds that could not be read are missing in it."""

WEBHOOK = "envoy-gateway-topology-injector."
LINKS = {
    "envoy-gateway": "Envoy Gateway: xDS, rate limit xDS, Wasm, webhook",
    "envoy": "proxies: xDS, rate limit and Wasm clients",
    "envoy-rate-limit": "rate limit service: gRPC server, xDS client",
}
SERVER, CLIENT, PEER = "server", "client", "server and client"
AUTHORITY, INTERMEDIATE = "CA", "intermediate"


@dataclass(frozen=True)
class Held:
    """A certificate in an object: where exactly, what it is for, and whose it is."""

    certificate: Certificate
    holder: Resource
    at: Location
    key: str
    index: int  # in its chain or bundle
    role: str
    users: tuple[str, ...]
    renewer: str
    is_control_plane: bool = False


@per_snapshot
def held(snapshot: Snapshot) -> list[Held]:
    """Return every certificate in the objects of the snapshot that something of ours uses."""
    found: dict[tuple[Ref, str, int], list[Held]] = {}
    for one in _everything(snapshot):
        found.setdefault((one.holder.ref, one.key, one.index), []).append(one)
    return [_merged(group) for group in found.values()]


def _merged(group: list[Held]) -> Held:
    """Return one for a certificate that several use."""
    first = group[0]
    if len(group) == 1:
        return first
    users = tuple(dict.fromkeys(user for one in group for user in one.users))
    return Held(
        first.certificate, first.holder, first.at, first.key, first.index, first.role, users,
        first.renewer, is_control_plane=any(one.is_control_plane for one in group),
    )  # fmt: skip


def _everything(snapshot: Snapshot) -> Iterator[Held]:
    for _, secrets in control_plane_secrets(snapshot):
        for name, secret in secrets.items():
            role = {"envoy-gateway": SERVER, "envoy": CLIENT}.get(name, PEER)
            yield from _pair(secret, role, (LINKS[name],), snapshot, control_plane=True)
    yield from _webhooks(snapshot)
    for secret, bindings in listener_secrets(snapshot):
        users = tuple(sorted({str(binding) for binding in bindings}))
        yield from _chain(secret, "tls.crt", SERVER, users, snapshot)
    for use in uses(snapshot):
        role = AUTHORITY if use.key == "ca.crt" else CLIENT
        yield from _chain(use.holder, use.key, role, (str(use.owner.ref),), snapshot)
    for config in snapshot.all(CONFIG_MAP):
        if is_proxy(config) and "ca.crt" in section(config.body, "data"):
            user = (f"proxies of {config.name}: xDS server's CA",)
            yield from _chain(config, "ca.crt", AUTHORITY, user, snapshot, control_plane=True)


def _pair(
    secret: Resource, role: str, users: tuple[str, ...], snapshot: Snapshot, *, control_plane: bool
) -> Iterator[Held]:
    yield from _chain(secret, "tls.crt", role, users, snapshot, control_plane=control_plane)
    yield from _chain(secret, "ca.crt", AUTHORITY, users, snapshot, control_plane=control_plane)


def _chain(
    holder: Resource,
    key: str,
    role: str,
    users: tuple[str, ...],
    snapshot: Snapshot,
    *,
    control_plane: bool = False,
) -> Iterator[Held]:
    who = renewer(holder, snapshot)
    field = "data" if "data" in holder.body or "stringData" not in holder.body else "stringData"
    for index, each in enumerate(certificates(holder, key)[0]):
        yield Held(
            each,
            holder,
            holder.at(field, key),
            key,
            index,
            role if not index or role == AUTHORITY else INTERMEDIATE,
            users,
            who,
            control_plane,
        )


def _webhooks(snapshot: Snapshot) -> Iterator[Held]:
    for webhook in snapshot.all(MUTATING_WEBHOOK):
        if not webhook.name.startswith(WEBHOOK):
            continue
        for number, body in items(webhook.body, "webhooks"):
            path: Path = ("webhooks", number, "clientConfig", "caBundle")
            for index, each in enumerate(ca_bundle(body)):
                yield Held(
                    each, webhook, webhook.at(*path), "caBundle", index, AUTHORITY,
                    ("API server: topology webhook",), "nobody: certgen patches it",
                    is_control_plane=True,
                )  # fmt: skip


def ca_bundle(webhook: object) -> tuple[Certificate, ...]:
    """Return the certificates in `clientConfig.caBundle`; none if it can't be read."""
    try:
        value = text(section(webhook, "clientConfig"), "caBundle")
        return read_chain(base64.b64decode(value, validate=True)) if value else ()
    except (CertificateError, binascii.Error, ValueError):
        return ()


class Use(NamedTuple):
    """A Secret or ConfigMap that a policy, a Backend or an EnvoyProxy names; the key in it."""

    holder: Resource
    key: str
    owner: Resource
    at: Location


# where objects name certificates: the list or the single reference, its kind, the key in there
_PLACES = (
    (CLIENT_TRAFFIC_POLICY, ("spec", "tls", "clientValidation"), "caCertificateRefs", "Secret"),
    (BACKEND_TLS_POLICY, ("spec", "validation"), "caCertificateRefs", "ConfigMap"),
    (BACKEND, ("spec", "tls"), "caCertificateRefs", "ConfigMap"),
    (BACKEND, ("spec", "tls"), "clientCertificateRef", "Secret"),
    (ENVOY_PROXY, ("spec", "backendTLS"), "clientCertificateRef", "Secret"),
)


def uses(snapshot: Snapshot) -> Iterator[Use]:
    """Yield the Secrets and ConfigMaps with certificates that users gave, listeners' left out."""
    for owner, ref, key in references(snapshot):
        holder = snapshot.get(ref.ref) if ref.ref else None
        if holder is not None and holder.kind in (SECRET, CONFIG_MAP):
            yield Use(holder, key, owner, ref.entry.at("name"))


def references(snapshot: Snapshot) -> Iterator[tuple[Resource, ObjectRef, str]]:
    """Yield who names which Secret or ConfigMap for which key, whether that exists or not."""
    for kind, path, field, default in _PLACES:
        key = "tls.crt" if field == "clientCertificateRef" else "ca.crt"
        for owner in snapshot.all(kind):
            place = section(owner.body, *path)
            single = section(place, field)
            refs: list[tuple[Path, Mapping[str, Any]]] = []
            if single:
                refs.append(((*path, field), single))
            refs += [((*path, field, index), body) for index, body in items(place, field)]
            for where, body in refs:
                yield owner, object_ref(Entry(owner, where, body), kind=default), key


def external(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return the `https` URLs of identity providers that policies name, each with the policies."""
    found: dict[str, list[str]] = {}
    for policy in snapshot.all(SECURITY_POLICY):
        provider = section(policy.spec, "oidc", "provider")
        urls = [text(provider, key) for key in ("issuer", "authorizationEndpoint", "tokenEndpoint")]
        for _, entry in items(section(policy.spec, "jwt"), "providers"):
            urls.append(text(section(entry, "remoteJWKS"), "uri"))
        for url in urls:
            if url.startswith("https://"):
                users = found.setdefault(url, [])
                users += [str(policy.ref)] if str(policy.ref) not in users else []
    return found
