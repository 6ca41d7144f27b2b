"""New certificates: a CA and the three leaves that it signs, made in memory.

The profile is certgen's, but with random serials of 128 bits, key identifiers on every certificate,
both purposes on every leaf, and a notBefore one hour back (clocks of nodes differ). The CA outlives
its leaves. Whoever calls decides what becomes of the CA's key; nothing here keeps it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from egops.certs import CertificateError, key_fault, read_chain
from egops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from cryptography import x509

KEY_TYPES = ("rsa2048", "rsa4096", "ecdsa-p256")
BACK = timedelta(hours=1)
GRACE = timedelta(days=30)  # the CA outlives its leaves by so much
KEPT_CA = timedelta(days=3650)
GATEWAY, PROXY, RATE_LIMIT = "envoy-gateway", "envoy", "envoy-rate-limit"
SECRETS = (GATEWAY, PROXY, RATE_LIMIT)


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Wish:
    """What the new certificates are to be like; `lifetime` is that of the leaves."""

    key_type: str = "rsa2048"
    lifetime: timedelta = timedelta(days=1825)
    keeps_ca: bool = False


def expected_names(secret: str, namespace: str, domain: str) -> tuple[str, tuple[str, ...]]:
    """Return the common name and the DNS names that the leaf of a Secret needs."""
    if secret != GATEWAY:
        return "*", (f"*.{namespace}",)
    service = f"{GATEWAY}.{namespace}"
    return GATEWAY, (GATEWAY, service, f"{service}.svc", f"{service}.svc.{domain}")


def make_ca(wish: Wish, now: datetime) -> KeyPair:
    """Return a new self-signed CA, with a subject of its own so that a bundle has no two alike."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    key = _new_key(wish.key_type)
    serial = secrets.randbits(127) | 1
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, GATEWAY),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, str(serial)),
        ]
    )
    lifetime = wish.lifetime + GRACE
    if wish.keeps_ca:
        lifetime = max(KEPT_CA, wish.lifetime * 2)
    usage = _usage(signs_certificates=True, encrypts=wish.key_type.startswith("rsa"))
    builder = (
        _builder(subject, subject, key.public_key(), serial)
        .not_valid_before(now - BACK)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_identifier(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
    )
    return _signed(builder, key, key)


def make_leaf(ca: KeyPair, name: str, dns: Iterable[str], wish: Wish, now: datetime) -> KeyPair:
    """Return a leaf for these DNS names.

    Raises:
        InputError: the CA can't sign it: wrong key, no keyCertSign, or it ends too soon.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    if fault := ca_fault(ca, now, now + wish.lifetime):
        raise InputError(f"the CA can't sign new leaves: {fault}")
    issuer = read_chain(ca.certificate)[0].x509
    signer: Any = serialization.load_pem_private_key(ca.key, password=None)
    key = _new_key(wish.key_type)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _usage(signs_certificates=False, encrypts=wish.key_type.startswith("rsa"))
    purposes = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    )
    builder = (
        _builder(subject, issuer.subject, key.public_key(), secrets.randbits(127) | 1)
        .not_valid_before(now - BACK)
        .not_valid_after(now + wish.lifetime)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(d) for d in dns]), critical=False)
        .add_extension(_identifier(key.public_key()), critical=False)
        .add_extension(_issuer_identifier(issuer), critical=False)
    )
    return _signed(builder, key, signer)


def ca_fault(ca: KeyPair, now: datetime, until: datetime) -> str:
    """Return why a CA can't sign what is to last until then, or an empty string."""
    from cryptography import x509

    try:
        certificate = read_chain(ca.certificate)[0]
    except CertificateError as exc:
        return str(exc)
    if fault := key_fault(ca.key, certificate):
        return fault
    if not certificate.is_ca:
        return "it is no CA (basicConstraints)"
    try:
        usage = certificate.x509.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.key_cert_sign:
            return "its keyUsage lacks keyCertSign"
    except x509.ExtensionNotFound:
        pass
    if certificate.not_after <= now:
        return f"it expired on {certificate.not_after:%Y-%m-%d}"
    if certificate.not_after < until:
        return f"it ends on {certificate.not_after:%Y-%m-%d}, before the leaves would"
    return ""


def names_of(pair: bytes) -> tuple[str, tuple[str, ...]]:
    """Return common name and DNS names of a certificate.

    Raises:
        CertificateError: it does not decode.
    """
    from cryptography.x509.oid import NameOID

    leaf = read_chain(pair)[0]
    common = leaf.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return (str(common[0].value) if common else ""), leaf.dns_names


def make_leaves(
    ca: KeyPair, names: Mapping[str, tuple[str, tuple[str, ...]]], wish: Wish, now: datetime
) -> dict[str, KeyPair]:
    """Return the leaf of each Secret, for the common name and the DNS names given."""
    return {
        secret: make_leaf(ca, common, dns, wish, now) for secret, (common, dns) in names.items()
    }


def _new_key(key_type: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    match key_type:
        case "rsa2048" | "rsa4096":
            return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[3:]))
        case "ecdsa-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            raise InputError(
                f"{key_type} is no key type that Envoy, Envoy Gateway and the rate limit service "
                f"all take: choose {', '.join(KEY_TYPES)}"
            )


def _builder(subject: Any, issuer: Any, key: Any, serial: int) -> x509.CertificateBuilder:
    from cryptography import x509

    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    return builder.public_key(key).serial_number(serial)


def _usage(*, signs_certificates: bool, encrypts: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=not signs_certificates,
        key_encipherment=encrypts,
        data_encipherment=encrypts and not signs_certificates,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _identifier(key: Any) -> x509.SubjectKeyIdentifier:
    from cryptography import x509

    return x509.SubjectKeyIdentifier.from_public_key(key)


def _issuer_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    from cryptography import x509

    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _signed(builder: x509.CertificateBuilder, key: Any, signer: Any) -> KeyPair:
    from cryptography.hazmat.primitives import hashes, serialization

    certificate = builder.sign(signer, hashes.SHA256())
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )
