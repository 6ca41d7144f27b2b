"""Throw-away certificates for the demo: keys live in its temporary folder and die with it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509  # noqa: TID253 - the demo alone needs it, and is loaded alone
from cryptography.hazmat.primitives import hashes, serialization  # noqa: TID253 - as above
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: TID253 - as above
from cryptography.x509.oid import NameOID  # noqa: TID253 - as above

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, both PEM."""

    certificate: bytes
    key: bytes

    @classmethod
    def make(
        cls, name: str, sans: Sequence[str] = (), *, days: float, issuer: Pair | None = None
    ) -> Pair:
        """Return a new pair, valid from an hour ago for so many days; a CA if nobody issues it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(
                x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True
            )
        )
        if sans:
            names = x509.SubjectAlternativeName([x509.DNSName(san) for san in sans])
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(issuer.private_key if issuer else key, hashes.SHA256())
        return cls(
            signed.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    @property
    def subject(self) -> x509.Name:
        """Return the subject of the certificate."""
        return x509.load_pem_x509_certificate(self.certificate).subject

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key, to sign with."""
        key = serialization.load_pem_private_key(self.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key
