"""Certificates for tests, made when they run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LONG = timedelta(days=3650)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        found: bytes = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return found


class Authority:
    """A CA that issues what a test needs."""

    def __init__(self, name: str, issuer: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        signer = issuer or self
        self.certificate: x509.Certificate = _build(
            name,
            self.key.public_key(),
            signer.certificate.subject if issuer else _name(name),
            LONG,
            ca=True,
        ).sign(signer.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *names: str,
        left: timedelta = LONG,
        key: Any = None,
        common_name: str = "leaf",
        begins: datetime = NOW - LONG,
        extensions: tuple[x509.ExtensionType, ...] = (),
    ) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = _build(
            common_name, key.public_key(), self.certificate.subject, left, ca=False, begins=begins
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return Issued(builder.sign(self.key, hashes.SHA256()), key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _build(
    name: str,
    key: Any,
    issuer: x509.Name,
    left: timedelta,
    *,
    ca: bool,
    begins: datetime = NOW - LONG,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(NOW + left)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
