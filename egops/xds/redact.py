"""Take key material out of Envoy's configuration: Envoy redacts secrets, but not everywhere.

It leaves private keys and passwords that are written inline in the bootstrap, and whatever
credentials stand in header values, in URLs and in metadata of gRPC calls.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

REDACTED = "[redacted]"
REDACTED_BYTES = base64.b64encode(REDACTED.encode()).decode()
_HARMLESS = frozenset({"@type", "filename", "environment_variable"})

# fields that hold nothing but key material, in whatever form
_SECRET_FIELDS = frozenset(
    {
        "private_key", "private_key_provider", "password", "pkcs12", "session_ticket_keys",
        "generic_secret", "client_secret", "hmac_secret", "token_secret", "secret_key",
        "secret_access_key", "session_token", "access_token", "api_key", "apikey", "users",
        "auth_password", "auth_username", "client_certificate_key",
    }
)  # fmt: skip
# the key of one API key credential; elsewhere `key` is a name
_CREDENTIALS = "credentials"
_HEADERS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
        "apikey", "x-auth-token", "x-amz-security-token", "x-access-token", "x-csrf-token",
        "x-vault-token", "x-goog-api-key",
    }
)  # fmt: skip
_SECRET_HEADER = re.compile(r"(?:^|[-_])(?:token|secret|password|passwd|apikey)(?:$|[-_])")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
_USER_INFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")


def redact(value: Any, key: str = "") -> Any:
    """Return plain JSON without key material. Certificates, JWKS and Lua source stay."""
    if isinstance(value, dict):
        return _mapping(value, key)
    if isinstance(value, list):
        return [redact(entry, key) for entry in value]
    return _text(value, key) if isinstance(value, str) else value


def _mapping(value: dict[str, Any], under: str) -> dict[str, Any]:
    secret = _is_secret_header(value)
    return {
        name: blank(entry, name)
        if (name in _SECRET_FIELDS and not _is_reference(entry))
        or (secret and name not in ("name", "key", "header_name", "@type"))
        or (under == _CREDENTIALS and name in ("key", "client"))
        else redact(entry, name)
        for name, entry in value.items()
    }


def _is_secret_header(value: dict[str, Any]) -> bool:
    """Return whether a mapping is a header with its value or matcher, and the name is telling."""
    for field in ("name", "key", "header_name"):
        name = value.get(field)
        if isinstance(name, str) and len(value) > 1:
            name = name.lower()
            values = any(other.endswith(("value", "match", "string_match")) for other in value)
            if values and (name in _HEADERS or _SECRET_HEADER.search(name)):
                return True
    return False


def _is_reference(entry: Any) -> bool:
    """Return whether a secret field only says where the secret is."""
    return (
        isinstance(entry, dict)
        and bool(entry)
        and all(
            name in ("filename", "watched_directory", "name", "sds_config", "environment_variable")
            for name in entry
        )
    )


def blank(value: Any, key: str = "") -> Any:
    """Return the same shape with every text and number redacted; bytes stay base64, as Envoy's."""
    if isinstance(value, dict):
        return {
            name: entry if name in _HARMLESS else blank(entry, name)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [blank(entry, key) for entry in value]
    if value is None or isinstance(value, bool):
        return value
    return REDACTED_BYTES if key == "inline_bytes" else REDACTED


def _text(value: str, key: str) -> str:
    if key == "inline_bytes":
        return _bytes(value)
    if "PRIVATE KEY-----" in value:
        value = _PRIVATE_KEY.sub(REDACTED, value)
    if "://" in value and "@" in value:
        value = _USER_INFO.sub(rf"\g<scheme>{REDACTED}@", value)
    return _BEARER.sub(rf"\1 {REDACTED}", value) if "earer " in value or "asic " in value else value


def _bytes(value: str) -> str:
    """Return base64 without the private keys in it."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value
    if b"PRIVATE KEY-----" not in raw:
        return value
    text = _PRIVATE_KEY.sub(REDACTED, raw.decode("utf-8", "replace"))
    return base64.b64encode(text.encode()).decode()
