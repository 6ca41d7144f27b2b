"""Rows of `egops inspect secrets`: what each holds, never a key."""

from __future__ import annotations

import base64
import binascii
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import UNSET, Struct, UnsetType, field

from egops.xds import owners
from egops.xds.config_dump import plain
from egops.xds.owners import Own, Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.xds.config_dump import ConfigDump, SecretEntry

CONTENTS = (
    "tls_certificate", "validation_context", "session_ticket_keys", "generic_secret",
)  # fmt: skip


class Certificate(Struct, frozen=True, gc=False, omit_defaults=True):
    """The public part of a certificate; times are RFC 3339 in UTC. `error`: it does not parse."""

    subject: str = ""
    issuer: str = ""
    sans: tuple[str, ...] = ()
    not_before: str = field(default="", name="notBefore")
    not_after: str = field(default="", name="notAfter")
    serial: str = ""
    error: str = ""


class SecretRow(Struct, frozen=True, gc=False):
    """A secret of SDS. `file` is set where Envoy reads it from a file: the dump has no contents."""

    name: str
    type: str
    state: str
    owners: tuple[Owner, ...]
    certificates: tuple[Certificate, ...] = ()
    file: str | UnsetType = UNSET
    own: str | UnsetType = UNSET
    last_updated: str = field(default="", name="lastUpdated")
    proxy: str = ""

    HEADERS: ClassVar = ("NAME", "TYPE", "STATE", "SUBJECT", "NOT-AFTER", "OWNER")
    WIDE: ClassVar = ("SANS", "ISSUER", "NOT-BEFORE", "SERIAL", "CERTS", "SINCE")

    @property
    def owner_text(self) -> str:
        """Return the owners in one word."""
        if self.owners:
            return " or ".join(str(owner) for owner in self.owners)
        return f"<{self.own}>" if self.own is not UNSET else "<none>"

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        first = self.certificates[0] if self.certificates else Certificate()
        where = f"file {self.file}" if self.file is not UNSET else ""
        subject = first.subject or ",".join(first.sans) or first.error or where
        return self.name, self.type, self.state, subject, first.not_after, self.owner_text

    def wide(self) -> tuple[str, ...]:
        """Return more columns."""
        first = self.certificates[0] if self.certificates else Certificate()
        return (
            ",".join(first.sans), first.issuer, first.not_before, first.serial,
            str(len(self.certificates)), self.last_updated,
        )  # fmt: skip


def secret_rows(dump: ConfigDump, proxy: str = "") -> Iterator[SecretRow]:
    """Yield a row for each secret in each state."""
    for entry in dump.secrets:
        yield _row(entry, proxy)


def _row(entry: SecretEntry, proxy: str) -> SecretRow:
    body = plain(entry.secret)
    body = body if isinstance(body, dict) else {}
    contents = next((name for name in CONTENTS if name in body), "")
    found = owners.secret_owners(entry, contents)
    certificates, file = _certificates(contents, body.get(contents))
    return SecretRow(
        entry.name or str(body.get("name", "")),
        contents or "empty",
        entry.state,
        found if isinstance(found, tuple) else (),
        certificates,
        file or UNSET,
        found.purpose if isinstance(found, Own) else UNSET,
        entry.last_updated,
        proxy,
    )


def _certificates(contents: str, body: Any) -> tuple[tuple[Certificate, ...], str]:
    """Return the public certificates of a secret, or the file where Envoy finds them."""
    key = {"tls_certificate": "certificate_chain", "validation_context": "trusted_ca"}.get(contents)
    source = body.get(key) if isinstance(body, dict) and key else None
    if not isinstance(source, dict):
        return (), ""
    if isinstance(source.get("filename"), str):
        return (), source["filename"]
    return read_certificates(source), ""


def read_certificates(source: dict[str, Any]) -> tuple[Certificate, ...]:
    """Return what the certificates of a data source (`inline_bytes`, `inline_string`) say."""
    text = source.get("inline_string")
    pem = text.encode() if isinstance(text, str) else b""
    if isinstance(source.get("inline_bytes"), str):
        try:
            pem = base64.b64decode(source["inline_bytes"], validate=True)
        except binascii.Error:
            return (Certificate(error="not base64"),)
    if pem in (b"", b"[redacted]"):
        return ()
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an odd certificate holds is shown, not complained of
        try:
            found = x509.load_pem_x509_certificates(pem)
            return tuple(_certificate(certificate) for certificate in found)
        except ValueError:
            return (Certificate(error="no certificate in PEM"),)


def _certificate(found: Any) -> Certificate:
    from cryptography import x509

    sans: tuple[str, ...] = ()
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        sans = tuple(str(name.value) for name in extension.value)
    except (x509.ExtensionNotFound, ValueError):
        pass
    return Certificate(
        found.subject.rfc4514_string(),
        found.issuer.rfc4514_string(),
        sans,
        found.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{found.serial_number:x}",
    )
