"""X.509 and PEM, read and judged; keys are compared here and never leave.

Pure: takes bytes, answers with plain values. `cryptography` is loaded when first needed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from cryptography import x509 as cx509

    from egops.snapshot import Resource


class CertificateError(Exception):
    """A PEM text that is not what it should be; the message never quotes it."""


@dataclass(frozen=True)
class Certificate:
    """One certificate: the facts worth telling, and the certificate itself to compute with."""

    subject: str
    issuer: str
    serial: str  # hex, lower case, without leading zeros
    not_before: datetime
    not_after: datetime
    fingerprint: str  # SHA-256, hex
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    is_ca: bool
    key_type: str  # `RSA 2048`, `EC secp256r1`, `Ed25519`
    x509: cx509.Certificate

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names it is good for."""
        return (*self.dns_names, *self.ip_addresses)

    def remaining(self, now: datetime) -> timedelta:
        """Return how long it is still good; negative if it is over."""
        return self.not_after - now

    def covers(self, hostname: str) -> bool:
        """Return whether a client that asks for this host accepts it."""
        return any(name_covers(name, hostname) for name in self.names)

    def __str__(self) -> str:
        """Return `CN=www.example.com (until 2027-01-31, serial 1f)`."""
        until = self.not_after.strftime("%Y-%m-%d")
        return f"{self.subject or 'no subject'} (until {until}, serial {self.serial})"


# ------------------------------------------------------------------ reading


def read_chain(pem: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM text, in its order: the leaf first, by convention.

    Raises:
        CertificateError: it holds no certificate, or one that does not decode.
    """
    return _read_chain(bytes(pem))


@lru_cache(maxsize=512)
def _read_chain(pem: bytes) -> tuple[Certificate, ...]:
    from cryptography import x509

    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise CertificateError("it holds no PEM certificate")
    try:
        found = x509.load_pem_x509_certificates(pem)
        return tuple(_certificate(each) for each in found)
    except (ValueError, TypeError):
        raise CertificateError("it holds a certificate that does not decode") from None


def read_der(der: bytes) -> Certificate:
    """Return the certificate that a server showed.

    Raises:
        CertificateError: it does not decode.
    """
    from cryptography import x509

    try:
        return _certificate(x509.load_der_x509_certificate(der))
    except (ValueError, TypeError):
        raise CertificateError("it is a certificate that does not decode") from None


def _certificate(found: cx509.Certificate) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    is_ca = False
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = tuple(names.get_values_for_type(x509.DNSName))
        addresses = tuple(str(each) for each in names.get_values_for_type(x509.IPAddress))
    except (x509.ExtensionNotFound, ValueError):
        pass
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        is_ca = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return Certificate(
        subject=_name(found.subject),
        issuer=_name(found.issuer),
        serial=f"{found.serial_number:x}",
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        dns_names=dns,
        ip_addresses=addresses,
        is_ca=is_ca,
        key_type=_key_type(found),
        x509=found,
    )


def _name(name: Any) -> str:
    from cryptography.x509.oid import NameOID

    try:
        text: str = name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"})
    except ValueError:
        return ""
    return text


def _key_type(found: cx509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "unknown"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")


def secret_bytes(secret: Resource, key: str) -> bytes | None:
    """Return a value of a Secret (`data` or `stringData`) or of a ConfigMap; None if absent.

    Raises:
        CertificateError: `data` holds text that is not base64.
    """
    plain = secret.body.get("stringData")
    if isinstance(plain, dict) and isinstance(plain.get(key), str):
        return str(plain[key]).encode()
    data = secret.body.get("data")
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, str):
        return None
    if secret.kind.name == "ConfigMap":
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise CertificateError(f"{key} is not base64") from None


# ------------------------------------------------------------------ keys


EC_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def key_fault(pem: bytes, certificate: Certificate) -> str:
    """Return why a private key does not serve a certificate, or an empty string.

    The key is looked at here and nowhere else; no message tells anything of it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        return "the key is encrypted with a password"
    except (ValueError, UnsupportedAlgorithm):
        return "the key is not a PEM private key"
    try:
        same = _spki(key.public_key()) == _spki(certificate.x509.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return "the certificate's key is of an unsupported type"
    if not same:
        return "the key does not belong to the certificate"
    return _unsupported(certificate.key_type)


def _unsupported(key_type: str) -> str:
    """Return why Envoy refuses a key of this type, or an empty string."""
    family, _, size = key_type.partition(" ")
    if family == "RSA" and size.isdigit() and int(size) < 2048:
        return f"Envoy takes RSA keys of 2048 bits and more, not {size}"
    if family == "EC" and size not in EC_CURVES:
        return f"Envoy takes EC keys on P-256, P-384 and P-521, not {size}"
    if family not in ("RSA", "EC"):
        return f"Envoy takes RSA and EC keys, not {key_type}"
    return ""


def _spki(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


# ------------------------------------------------------------------ what it is good for

SERVER_AUTH, CLIENT_AUTH = "server auth", "client auth"
_PURPOSES = {"1.3.6.1.5.5.7.3.1": SERVER_AUTH, "1.3.6.1.5.5.7.3.2": CLIENT_AUTH}
_ANY_PURPOSE = "2.5.29.37.0"
WEAK_DIGESTS = ("md5", "sha1")


def missing_purposes(certificate: Certificate, needed: Iterable[str]) -> list[str]:
    """Return the purposes that it needs and does not have; one without the extension has all."""
    from cryptography import x509

    try:
        usage = certificate.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    found = {oid.dotted_string for oid in usage}
    if _ANY_PURPOSE in found:
        return []
    has = {_PURPOSES.get(oid) for oid in found}
    return [purpose for purpose in needed if purpose not in has]


def can_sign(certificate: Certificate) -> bool:
    """Return whether its keyUsage, if it has any, lets it sign a handshake (TLS 1.3 asks that)."""
    from cryptography import x509

    try:
        usage = certificate.x509.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return bool(usage.digital_signature)


def weaknesses(certificate: Certificate, *, as_authority: bool) -> list[str]:
    """Return what makes a certificate unfit by today's measure."""
    found = []
    family, _, size = certificate.key_type.partition(" ")
    if family == "RSA" and size.isdigit() and int(size) < 2048:
        found.append(f"its RSA key has {size} bits")
    digest = _digest(certificate)
    if digest in WEAK_DIGESTS and certificate.subject != certificate.issuer:
        found.append(f"it is signed with {digest.upper()}")
    if as_authority and (reason := _not_an_authority(certificate)):
        found.append(reason)
    return found


def _digest(certificate: Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        algorithm = certificate.x509.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm else ""


def _not_an_authority(certificate: Certificate) -> str:
    from cryptography import x509

    extensions = certificate.x509.extensions
    if not certificate.is_ca:
        return "it is no CA (basicConstraints)"
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return "" if usage.key_cert_sign else "its keyUsage lacks keyCertSign"


def malformed_names(certificate: Certificate) -> list[str]:
    """Return the DNS names for which Go refuses to parse the certificate."""
    return [name for name in certificate.dns_names if not _is_parsed_by_go(name)]


def _is_parsed_by_go(name: str) -> bool:
    """Return what `crypto/x509` asks of a name: printable ASCII, no empty label, 253 at most."""
    return (
        0 < len(name) <= 253
        and all(name.split("."))
        and all(33 <= ord(char) <= 126 for char in name)
    )


# ------------------------------------------------------------------ trust


def is_signed_by(certificate: Certificate, authority: Certificate) -> bool:
    """Return whether `authority` issued `certificate`, by name and signature."""
    try:
        certificate.x509.verify_directly_issued_by(authority.x509)
    except Exception:  # noqa: BLE001 - InvalidSignature, ValueError, TypeError, unsupported: all no
        return False
    return True


def chain_to(
    leaf: Certificate, bundle: Iterable[Certificate], intermediates: Iterable[Certificate] = ()
) -> tuple[Certificate, ...]:
    """Return the path from a leaf to a CA of the bundle, the leaf first; empty if there is none.

    Dates are not looked at: an expired CA is another fault, told elsewhere. A leaf that is itself
    in the bundle is trusted.
    """
    anchors, between = tuple(bundle), tuple(intermediates)
    return _climb((leaf,), anchors, between)


def _climb(
    path: tuple[Certificate, ...],
    anchors: tuple[Certificate, ...],
    between: tuple[Certificate, ...],
) -> tuple[Certificate, ...]:
    last = path[-1]
    if any(last.fingerprint == anchor.fingerprint for anchor in anchors):
        return path
    for anchor in anchors:
        if is_signed_by(last, anchor):
            return (*path, anchor)
    if len(path) > 8:
        return ()
    for each in between:
        climbs = each not in path and is_signed_by(last, each)
        if climbs and (found := _climb((*path, each), anchors, between)):
            return found
    return ()


def expired(certificates: Iterable[Certificate], now: datetime) -> list[Certificate]:
    """Return those that are over."""
    return [each for each in certificates if each.not_after <= now]


# ------------------------------------------------------------------ names


def name_covers(name: str, hostname: str) -> bool:
    """Return whether a SAN covers a hostname; a wildcard stands for exactly one label.

    A wildcard hostname (`*.shop.example`) needs the same wildcard.
    """
    name, hostname = name.lower().rstrip("."), hostname.lower().rstrip(".")
    if name == hostname:
        return True
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(hostname)
    except ValueError:
        pass
    if not name.startswith("*."):
        return False
    label, dot, rest = hostname.partition(".")
    return bool(dot) and bool(label) and label != "*" and rest == name[2:]


def days(left: timedelta) -> str:
    """Return `in 5 days` or `2 days ago`, in words for a sentence."""
    seconds = left.total_seconds()
    count = int(abs(seconds) // 86400)
    if count >= 2:
        amount = f"{count} days"
    else:
        hours = int(abs(seconds) // 3600)
        amount = f"{hours} hours" if hours != 1 else "1 hour"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def same_serial(one: str, other: str) -> bool:
    """Return whether two serial numbers in hex are the same: Envoy pads them with zeros."""
    return one.lower().lstrip("0") == other.lower().lstrip("0")
