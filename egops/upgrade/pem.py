"""The first PEM block of a text, as Envoy Gateway checks it: is it a certificate that is valid?"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)-----END \1-----", re.DOTALL)


def first_block_error(data: bytes, now: datetime) -> str:
    """Return why the first PEM block is no valid certificate, or an empty string."""
    from cryptography import x509

    found = _BLOCK.search(data)
    if found is None:
        return "holds no PEM block"
    try:
        der = base64.b64decode(found.group(2))
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, binascii.Error):
        return "does not start with a certificate"
    if now > certificate.not_valid_after_utc:
        return f"starts with a certificate that expired on {certificate.not_valid_after_utc:%F}"
    if now < certificate.not_valid_before_utc:
        return f"starts with a certificate valid from {certificate.not_valid_before_utc:%F} on"
    return ""


def decoded(value: object) -> bytes:
    """Return the bytes of a Secret's `data` entry; what is no base64 gives nothing."""
    if not isinstance(value, str):
        return b""
    try:
        return base64.b64decode(value, validate=False)
    except (ValueError, binascii.Error):
        return b""
