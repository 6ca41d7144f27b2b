"""Which certificates our Gateways and Envoy Gateway itself use, and where they are written."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from egops.certs import Certificate, CertificateError, read_chain, read_der, secret_bytes
from egops.gatewayapi import (
    SECRET,
    Entry,
    ObjectRef,
    installs,
    object_ref,
    timestamp,
)
from egops.listeners import every_listener
from egops.snapshot import Kind, Location, Probe, Ref, items, section, text
from egops.xds import admin
from egops.xds.config_dump import plain
from egops.xds.view.listeners import listener_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from egops.handshakes import Handshake
    from egops.listeners import Listener
    from egops.snapshot import Answers, Proxy, Resource, Snapshot
    from egops.xds.config_dump import ConfigDump, SecretEntry

CONTROL_PLANE_SECRETS = ("envoy-gateway", "envoy", "envoy-rate-limit")
OWN_LINKS = ("xds_cluster", "ratelimit_cluster", "wasm_cluster")  # of a proxy to Envoy Gateway's
TLS_TYPE = "kubernetes.io/tls"
CERT_MANAGER = "cert-manager.io/certificate-name"
DEFAULT_NAMESPACE = "envoy-gateway-system"


class Binding(NamedTuple):
    """A certificateRef of a listener, with the Secret if it is in the snapshot."""

    listener: Listener
    ref: ObjectRef
    secret: Resource | None

    def __str__(self) -> str:
        """Return `Gateway edge/public listener https`."""
        return f"{self.listener.owner.ref} listener {self.listener.name}"


def bindings(snapshot: Snapshot) -> Iterator[Binding]:
    """Yield the references to Secrets of every TLS-terminating listener of ours."""
    for listener in every_listener(snapshot):
        if not listener.is_terminating:
            continue
        path = ("spec", "listeners", listener.index, "tls", "certificateRefs")
        for index, body in items(section(listener.spec, "tls"), "certificateRefs"):
            ref = object_ref(Entry(listener.owner, (*path, index), body), kind="Secret")
            if ref.ref is not None and ref.ref.kind == SECRET and ref.name:
                yield Binding(listener, ref, snapshot.get(ref.ref))


def listener_secrets(snapshot: Snapshot) -> list[tuple[Resource, list[Binding]]]:
    """Return the Secrets that listeners of ours use, each with its users."""
    found: dict[Resource | int, tuple[Resource, list[Binding]]] = {}
    for binding in bindings(snapshot):
        if binding.secret is not None:
            found.setdefault(id(binding.secret), (binding.secret, []))[1].append(binding)
    return list(found.values())


# ------------------------------------------------------------------ reading Secrets


def is_redacted(value: bytes) -> bool:
    """Return whether a value was taken out before we got to see it."""
    return not value.strip() or b"redacted" in value[:64].lower()


@dataclass(frozen=True)
class Pair:
    """What a TLS Secret holds. `fault` tells why the certificate can't be read."""

    chain: tuple[Certificate, ...] = ()
    authorities: tuple[Certificate, ...] = ()  # of ca.crt
    fault: str = ""
    authority_fault: str = ""

    @property
    def leaf(self) -> Certificate | None:
        """Return the leaf, or None if it can't be read."""
        return self.chain[0] if self.chain else None


def pair(secret: Resource) -> Pair:
    """Return the certificates of a TLS Secret; the key is not looked at."""
    chain, fault = certificates(secret, "tls.crt")
    authorities, authority_fault = certificates(secret, "ca.crt")
    return Pair(chain, authorities, fault, authority_fault)


def certificates(secret: Resource, key: str) -> tuple[tuple[Certificate, ...], str]:
    """Return the certificates under a key of a Secret or ConfigMap, or why there are none."""
    try:
        value = secret_bytes(secret, key)
        if value is None:
            return (), f"{key} is missing"
        if is_redacted(value):
            return (), f"{key} is empty" if not value.strip() else ""
        return read_chain(value), ""
    except CertificateError as exc:
        return (), f"{key}: {exc}"


# ------------------------------------------------------------------ control plane


def control_plane_secrets(snapshot: Snapshot) -> list[tuple[str, dict[str, Resource]]]:
    """Return by namespace of each install its TLS Secrets, as far as they are in the snapshot."""
    namespaces = [install.namespace for install in installs(snapshot)]
    if not namespaces:
        namespaces = sorted(
            {
                secret.namespace
                for secret in snapshot.all(SECRET)
                if secret.name in CONTROL_PLANE_SECRETS
                and (
                    text(secret.labels, "control-plane") == "envoy-gateway"
                    or secret.namespace == DEFAULT_NAMESPACE
                )
            }
        )
    return [
        (
            namespace,
            {
                name: secret
                for name in CONTROL_PLANE_SECRETS
                if (secret := snapshot.find(SECRET, namespace, name))
            },
        )
        for namespace in dict.fromkeys(namespaces)
    ]


def is_managed(secret: Resource) -> bool:
    """Return whether cert-manager renews the Secret."""
    return CERT_MANAGER in secret.annotations


# ------------------------------------------------------------------ how soon it ends


class Deadline(NamedTuple):
    """How long before its end a certificate alarms."""

    warn: timedelta
    fail: timedelta


def deadline(
    begin: datetime, end: datetime, snapshot: Snapshot, default: Deadline, *, managed: bool = False
) -> Deadline:
    """Return the thresholds: the rule's own, or what the command was told (`--warn 33%`).

    Those of a short-lived certificate that renews itself are shorter: cert-manager renews after two
    thirds of the lifetime, so only less than a quarter is late. What a user chose is taken as is.
    """
    lifetime = end - begin
    expiry = snapshot.expiry
    if expiry is not None:
        default = Deadline(_length(expiry.warn, lifetime), _length(expiry.critical, lifetime))
    if not managed or (expiry is not None and expiry.is_chosen):
        return default
    return Deadline(min(default.warn, lifetime / 4), min(default.fail, lifetime / 10))


def _length(threshold: timedelta | float, lifetime: timedelta) -> timedelta:
    return lifetime * threshold if isinstance(threshold, float) else threshold


# ------------------------------------------------------------------ live certificates


def live_leaves(proxy: Proxy) -> list[admin.Certificate]:
    """Return the leaves that an Envoy really holds, without that of its control plane link."""
    if not proxy.has(Probe.CERTS):
        return []
    return [
        pair_.cert_chain[0]
        for pair_ in proxy.certs.certificates
        if pair_.cert_chain and not is_control_plane(pair_.cert_chain[0])
    ]


def dumped_leaves(proxy: Proxy) -> list[admin.Certificate]:
    """Return the leaves of the secrets in a config dump, for where `/certs` was not read.

    The dump shows what was sent: usually it is in use.
    """
    if not proxy.has(Probe.CONFIG_DUMP):
        return []
    found = []
    for entry in proxy.config.secrets:
        chain = sent_chain(entry)
        if entry.state == "active" and chain:
            leaf = chain[0]
            names = [admin.SubjectAltName(dns=name) for name in leaf.dns_names]
            found.append(
                admin.Certificate(
                    serial_number=leaf.serial,
                    subject_alt_names=names,
                    valid_from=leaf.not_before.isoformat(),
                    expiration_time=leaf.not_after.isoformat(),
                )
            )
    return [leaf for leaf in found if not is_control_plane(leaf)]


def sent_chain(entry: SecretEntry) -> tuple[Certificate, ...]:
    """Return the certificates in a secret of a config dump: a chain or a CA; empty if none."""
    secret = plain(entry.secret)
    for path in (("tls_certificate", "certificate_chain"), ("validation_context", "trusted_ca")):
        source = section(secret, *path)
        try:
            pem = text(source, "inline_string").encode() or b64decode(text(source, "inline_bytes"))
            if pem:
                return read_chain(pem)
        except (CertificateError, ValueError):
            continue
    return ()


class TlsChain(NamedTuple):
    """A filter chain of a listener that ends TLS: where, for which names, by which SDS secrets."""

    port: int
    names: tuple[str, ...]  # of SNI; empty for all
    secrets: tuple[str, ...]

    @property
    def asked(self) -> tuple[str, ...]:
        """Return a name to ask for each of its own; a wildcard stands for one label."""
        return tuple(
            f"egops-check{name[1:]}" if name.startswith("*.") else name for name in self.names
        ) or ("",)


def tls_chains(config: ConfigDump) -> Iterator[TlsChain]:
    """Yield the chains of the active TCP listeners that end TLS with certificates from SDS."""
    for row in listener_rows(config):
        if row.state == "active" and row.protocol == "TCP" and row.port:
            for chain in row.chains:
                if chain.tls and chain.certificates:
                    yield TlsChain(row.port, chain.server_names, chain.certificates)


def control_plane_pairs(proxy: Proxy) -> list[admin.CertificatePair]:
    """Return the certificates that an Envoy shows to its control plane, with the CA."""
    if not proxy.has(Probe.CERTS):
        return []
    return [
        pair_
        for pair_ in proxy.certs.certificates
        if pair_.cert_chain and is_control_plane(pair_.cert_chain[0])
    ]


def is_control_plane(certificate: admin.Certificate) -> bool:
    """Return whether it is the proxies' own: its one name is `*.<namespace>`, no public name."""
    names = [name.dns for name in certificate.subject_alt_names if name.dns]
    return len(names) == 1 and names[0].startswith("*.") and "." not in names[0][2:]


def secret_for(name: str, namespace: str, snapshot: Snapshot) -> Resource | None:
    """Return a control plane Secret for a pod in a namespace: of its install, or the only one."""
    installed = dict(control_plane_secrets(snapshot))
    if namespace in installed:
        return installed[namespace].get(name)
    return next(iter(installed.values())).get(name) if len(installed) == 1 else None


def is_from_file(certificate: admin.Certificate) -> bool:
    """Return whether Envoy read it from a file by itself: it never reads it again."""
    return certificate.path.startswith("/")


def is_rate_limit(pod: Resource) -> bool:
    """Return whether a pod is of the rate limit service that Envoy Gateway runs."""
    return (
        text(pod.labels, "app.kubernetes.io/managed-by") == "envoy-gateway"
        and text(pod.labels, "app.kubernetes.io/component") == "ratelimit"
    )


def shown_leaf(handshake: Handshake) -> Certificate | None:
    """Return the leaf that a server showed, if it showed one that decodes."""
    try:
        return read_der(handshake.chain[0]) if handshake.chain else None
    except CertificateError:
        return None


def shown_chain(handshake: Handshake) -> tuple[Certificate, ...]:
    """Return what a server showed, the leaf first, up to what does not decode."""
    found = []
    for der in handshake.chain:
        try:
            found.append(read_der(der))
        except CertificateError:
            break
    return tuple(found)


SERVER = Kind("Server", "", "servers", ("v1",))
"""A TLS server by its address."""


def answers_location(answers: Answers) -> Location:
    """Return where a finding about somebody who was asked points to: its Pod, or its address."""
    if answers.pod is not None:
        return answers.pod.at()
    return Location(Ref(SERVER, "", answers.name))


def started_at(pod: Resource, container: str) -> datetime | None:
    """Return when a container of a pod started: what it reads once, it read then."""
    for _, status in items(pod.status, "containerStatuses"):
        if text(status, "name") == container:
            return timestamp(section(status, "state", "running").get("startedAt"))
    return timestamp(pod.status.get("startTime"))


def changed_at(secret: Resource) -> datetime | None:
    """Return when the Secret was last written, as far as it tells."""
    times = [timestamp(entry.get("time")) for _, entry in items(secret.metadata, "managedFields")]
    times.append(timestamp(secret.metadata.get("creationTimestamp")))
    return max((moment for moment in times if moment), default=None)
