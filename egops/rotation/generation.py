"""One generation of control-plane certificates: what the three Secrets hold, byte for byte."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.certs import Certificate, CertificateError, key_fault, read_chain
from egops.errors import InputError
from egops.rotation.material import SECRETS, KeyPair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Object = dict[str, Any]
CA, CRT, KEY = "ca.crt", "tls.crt", "tls.key"
WEBHOOK = "webhook"


@dataclass(frozen=True)
class Generation:
    """A CA (or several) and the three leaves, by name of the Secret.

    `bundles` are the `ca.crt` of each Secret, `webhook` the caBundle: what this generation alone
    looks like. They are kept as they were found, so that going back restores every byte.
    """

    name: str
    pairs: Mapping[str, KeyPair] = field(repr=False)
    bundles: Mapping[str, bytes]
    webhook: bytes = b""

    @property
    def authorities(self) -> tuple[Certificate, ...]:
        """Return its CAs, each once, in the order of the Secrets."""
        return unique(ca for secret in SECRETS for ca in _readable(self.bundles.get(secret, b"")))

    def leaf(self, secret: str) -> Certificate:
        """Return the leaf of a Secret."""
        return read_chain(self.pairs[secret].certificate)[0]

    @property
    def leaves(self) -> dict[str, Certificate]:
        """Return the leaf of each Secret."""
        return {secret: self.leaf(secret) for secret in SECRETS}

    def to_data(self) -> dict[str, str]:
        """Return it as data of a Secret."""
        found = {f"{self.name}.{secret}.{CA}": self.bundles[secret] for secret in SECRETS}
        for secret, pair in self.pairs.items():
            found[f"{self.name}.{secret}.{CRT}"] = pair.certificate
            found[f"{self.name}.{secret}.{KEY}"] = pair.key
        found[f"{self.name}.{WEBHOOK}"] = self.webhook
        return {key: b64encode(value).decode() for key, value in found.items()}

    @classmethod
    def from_data(cls, name: str, data: Mapping[str, str]) -> Generation | None:
        """Return the generation that `to_data` wrote, or None if a part is missing."""
        try:
            plain = {key: b64decode(value, validate=True) for key, value in data.items()}
            return cls(
                name,
                {
                    secret: KeyPair(
                        plain[f"{name}.{secret}.{CRT}"], plain[f"{name}.{secret}.{KEY}"]
                    )
                    for secret in SECRETS
                },
                {secret: plain[f"{name}.{secret}.{CA}"] for secret in SECRETS},
                plain.get(f"{name}.{WEBHOOK}", b""),
            )
        except (KeyError, binascii.Error, ValueError):
            return None


def unique(certificates: Iterable[Certificate]) -> tuple[Certificate, ...]:
    """Return certificates, each once, in their order."""
    return tuple({each.fingerprint: each for each in certificates}.values())


def joined(goal: Generation, other: Generation) -> bytes:
    """Return a bundle that trusts both.

    The goal's CA comes first: Envoy shows only the first CA of a bundle, so the new order is what
    makes a reload visible.
    """
    return pem(unique((*goal.authorities, *other.authorities)))


def pem(certificates: Iterable[Certificate]) -> bytes:
    """Return certificates as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return b"".join(each.x509.public_bytes(Encoding.PEM) for each in certificates)


def value(secret: Object, key: str) -> bytes:
    """Return a value of a Secret; empty if absent.

    Raises:
        InputError: it is not base64.
    """
    text = (secret.get("data") or {}).get(key) or ""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        name = (secret.get("metadata") or {}).get("name")
        raise InputError(f"{key} of Secret {name} is not base64") from None


def found_generation(secrets: Mapping[str, Object], webhook: bytes) -> Generation:
    """Return what the Secrets hold now as a generation, unjudged."""
    return Generation(
        "old",
        {name: KeyPair(value(secrets[name], CRT), value(secrets[name], KEY)) for name in SECRETS},
        {name: value(secrets[name], CA) for name in SECRETS},
        webhook,
    )


def faults(secret: Object) -> list[str]:
    """Return why a Secret can't be the start of a rotation; none for a good one."""
    missing = [key for key in (CA, CRT, KEY) if not value(secret, key).strip()]
    if missing:
        return [f"{key} is missing" for key in missing]
    found = []
    if secret.get("immutable"):
        found.append("it is immutable: nothing in it can be changed")
    try:
        leaf = read_chain(value(secret, CRT))[0]
    except CertificateError as exc:
        return [*found, f"{CRT}: {exc}"]
    if fault := key_fault(value(secret, KEY), leaf):
        found.append(f"{KEY}: {fault}")
    try:
        read_chain(value(secret, CA))
    except CertificateError as exc:
        found.append(f"{CA}: {exc}")
    return found


def _readable(text: bytes) -> tuple[Certificate, ...]:
    try:
        return read_chain(text)
    except CertificateError:
        return ()
