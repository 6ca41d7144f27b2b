"""Every certificate that an installation lives on: where it is kept, who uses it, who renews it.

Pure. Keys are never looked at.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egops.certs import CertificateError, read_chain, same_serial
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
    CERT_MANAGER,
    CONTROL_PLANE_SECRETS,
    answers_location,
    certificates,
    control_plane_secrets,
    is_control_plane,
    listener_secrets,
    sent_chain,
    shown_chain,
)
from egops.pki import SERVER as SERVER_KIND
from egops.proxies import location_of
from egops.refusals import moment
from egops.snapshot import Probe, Server, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from egops.certs import Certificate
    from egops.gatewayapi import ObjectRef
    from egops.snapshot import Answers, Location, Path, Proxy, Ref, Resource, Snapshot
    from egops.xds import admin

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


@dataclass(frozen=True)
class Row:
    """A line of the inventory. `kind` is the object's, or `Envoy` for one only a proxy holds."""

    kind: str
    namespace: str
    name: str
    key: str
    index: int
    role: str
    subject: str
    issuer: str
    serial: str
    fingerprint: str  # SHA-256; empty where only a proxy told of it
    names: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    key_type: str
    users: tuple[str, ...]
    renewer: str

    @property
    def owner(self) -> str:
        """Return `Secret envoy-gateway-system/envoy`: the object that holds it."""
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}"

    @property
    def place(self) -> str:
        """Return `ca.crt`, with the place in a bundle from the second on: `ca.crt[1]`."""
        if not self.key:
            return f"[{self.index}]"
        return f"{self.key}[{self.index}]" if self.index else self.key


# ------------------------------------------------------------------ who renews


def renewer(holder: Resource, snapshot: Snapshot) -> str:
    """Return who renews what an object holds: an operator, certgen (which never does), unknown."""
    if owner := owner_of(holder, snapshot):
        return owner
    if holder.name in CONTROL_PLANE_SECRETS and holder.kind == SECRET:
        made = text(holder.labels, "control-plane") == "envoy-gateway"
        return "nobody: certgen made it" if made else "unknown"
    return "unknown"


def owner_of(holder: Resource, snapshot: Snapshot) -> str:
    """Return the tool that keeps an object as it wants it, or an empty string."""
    if name := text(holder.annotations, CERT_MANAGER):
        return f"cert-manager Certificate {holder.namespace}/{name}"
    place = (holder.namespace, holder.name)
    if holder.kind == SECRET and (certificate := _certificates_of(snapshot).get(place)):
        return f"cert-manager Certificate {holder.namespace}/{certificate}"
    for _, owner in items(holder.metadata, "ownerReferences"):
        if text(owner, "kind") in ("ExternalSecret", "SealedSecret"):
            return f"{text(owner, 'kind')} {holder.namespace}/{text(owner, 'name')}"
    return _writer(holder)


@per_snapshot
def _certificates_of(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Return cert-manager's Certificates by namespace and Secret."""
    return {
        (certificate.namespace, text(certificate.spec, "secretName")): certificate.name
        for certificate in snapshot.all(CERTIFICATE)
    }


def _writer(holder: Resource) -> str:
    """Return the tool that keeps an object in step with a repository or a chart, if one does."""
    for labels, key, name in (
        (holder.annotations, "argocd.argoproj.io/tracking-id", "Argo CD"),
        (holder.labels, "argocd.argoproj.io/instance", "Argo CD"),
        (holder.labels, "kustomize.toolkit.fluxcd.io/name", "Flux"),
        (holder.labels, "helm.toolkit.fluxcd.io/name", "Flux"),
        (holder.annotations, "meta.helm.sh/release-name", "Helm release"),
    ):
        if value := text(labels, key):
            return f"{name} {value.partition(':')[0]}"
    return ""


# ------------------------------------------------------------------ what objects hold


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


# ------------------------------------------------------------------ the table


def rows(snapshot: Snapshot) -> list[Row]:
    """Return the inventory: what objects hold, then what only a server or a proxy showed."""
    found = [_row(one) for one in held(snapshot)]
    fingerprints = {row.fingerprint for row in found}
    for row in _shown(snapshot):
        if row.fingerprint not in fingerprints or row.kind == SERVER_KIND.name:
            fingerprints.add(row.fingerprint)
            found.append(row)
    known = [row.serial for row in found]
    for proxy in snapshot.proxies:
        for row in _of_proxy(proxy, known):
            known.append(row.serial)
            found.append(row)
    return found


def _row(one: Held) -> Row:
    return _plain_row(
        one.holder.ref, one.key, one.index, one.role, one.certificate, one.users, one.renewer
    )


def _plain_row(  # noqa: PLR0913, PLR0917 - a row's columns
    ref: Ref,
    key: str,
    index: int,
    role: str,
    certificate: Certificate,
    users: tuple[str, ...],
    renewed_by: str,
) -> Row:
    return Row(
        ref.kind.name,
        ref.namespace,
        ref.name,
        key,
        index,
        role,
        certificate.subject,
        certificate.issuer,
        certificate.serial,
        certificate.fingerprint,
        certificate.names,
        certificate.not_before,
        certificate.not_after,
        certificate.key_type,
        users,
        renewed_by,
    )


def _shown(snapshot: Snapshot) -> Iterator[Row]:
    """Yield what servers showed in handshakes: Envoy Gateway's, and those that were named."""
    asked: tuple[Answers, ...] = (
        *snapshot.control_planes, *snapshot.rate_limit_servers, *snapshot.proxies,
    )  # fmt: skip
    for answers in (*asked, *snapshot.servers):
        ref = answers_location(answers).ref
        users = answers.users if isinstance(answers, Server) else ()
        for handshake in answers.handshakes:
            for index, each in enumerate(shown_chain(handshake)):
                role = SERVER if not index else AUTHORITY if each.is_ca else INTERMEDIATE
                key = "" if isinstance(answers, Server) else f"port {handshake.port}"
                yield _plain_row(ref, key, index, role, each, users, "unknown")


def _of_proxy(proxy: Proxy, known: Iterable[str]) -> Iterator[Row]:
    """Yield what a proxy holds and no object of the snapshot does, each certificate once."""
    known = list(known)
    for row in (*_dumped(proxy), *_live(proxy)):  # the dump tells subject and issuer as well
        if not any(same_serial(row.serial, serial) for serial in known):
            known.append(row.serial)
            yield row


def _live(proxy: Proxy) -> Iterator[Row]:
    if not proxy.has(Probe.CERTS):
        return
    for pair in proxy.certs.certificates:
        for each in pair.cert_chain:
            yield _live_row(proxy, each, CLIENT if is_control_plane(each) else SERVER)
        for each in pair.ca_cert:
            yield _live_row(proxy, each, AUTHORITY)


def _live_row(proxy: Proxy, each: admin.Certificate, role: str) -> Row:
    ref = location_of(proxy).ref
    return Row(
        "Pod" if proxy.pod is not None else "Envoy",
        ref.namespace,
        ref.name,
        "/certs",
        0,
        role,
        "",
        "",
        each.serial_number.lower().lstrip("0"),
        "",
        tuple(str(name) for name in each.subject_alt_names),
        moment(each.valid_from),
        moment(each.expiration_time),
        "",
        (),
        "unknown",
    )


def _dumped(proxy: Proxy) -> Iterator[Row]:
    if not proxy.has(Probe.CONFIG_DUMP):
        return
    ref = location_of(proxy).ref
    for entry in proxy.config.secrets:
        for index, each in enumerate(sent_chain(entry)):
            own = CLIENT if entry.name.startswith("xds_") else SERVER
            role = AUTHORITY if each.is_ca else own
            yield _plain_row(ref, f"secret {entry.name}", index, role, each, (), "unknown")
