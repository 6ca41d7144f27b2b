"""Take secrets out of what is saved. What is left still tells what was there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.gatewayapi import SECRET
from egops.gather.lists import LAST_APPLIED
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource

GONE = "[redacted]"
KEYS = "egops.dev/keys"  # annotation: the names of the values that a secret had

_TEXT = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), replacement)
    for pattern, replacement in (
        (
            rb'-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^"]*?-----END [A-Z ]*PRIVATE KEY-----|[^"]*)',
            b"[redacted]",
        ),
        (rb"(://)[^/@\s\"'\\]+@", rb"\1[redacted]@"),
        (  # with a digit or padding: `basic authentication` is none
            rb"\b(Bearer|Basic)(\s+)(?=[\w.~+/-]*[0-9=])[\w.~+/-]{6,}=*",
            rb"\1\2[redacted]",
        ),
        (rb"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", b"[redacted]"),
        (  # in JSON, also in JSON inside a string
            rb'(\\?"(?:(?:set-)?cookie|x-api-key|authorization)\\?"\s*:\s*\\?")[^"\\]+',
            rb"\1[redacted]",
        ),
        (  # in a line of text
            rb"\b((?:set-)?cookie|x-api-key|authorization)(=|:\s+)"
            rb"(?:(?:Bearer|Basic)\s+)?"
            rb"[^\s\"\\,;}\]]+",
            rb"\1\2[redacted]",
        ),
        (  # a header that a route sets: {"key": "authorization", "value": "…"}
            rb'("(?:key|name)"\s*:\s*"(?:authorization|cookie|set-cookie|x-api-key)"\s*,\s*'
            rb'"(?:value|raw_value)"\s*:\s*")[^"]*"',
            rb'\1[redacted]"',
        ),
    )
)
_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)


def redacted(raw: bytes) -> bytes:
    """Return a document or log without keys, tokens, cookies and passwords; JSON stays JSON."""
    for pattern, replacement in _TEXT:
        raw = pattern.sub(replacement, raw)
    return raw


def redacted_object(resource: Resource) -> dict[str, Any]:
    """Return the body without a secret's values and without environment values that are secret.

    The copy shares what it does not change with the original.
    """
    body = dict(resource.body)
    metadata = dict(resource.metadata)
    annotations = {key: value for key, value in resource.annotations.items() if key != LAST_APPLIED}
    if resource.kind == SECRET:
        names = {*section(body, "data"), *section(body, "stringData")}
        body = {key: value for key, value in body.items() if key not in ("data", "stringData")}
        if names:
            annotations[KEYS] = ", ".join(sorted(names))
    metadata["annotations"] = annotations
    body["metadata"] = metadata
    for path in (("spec",), ("spec", "template", "spec"), ("spec", "jobTemplate", "spec")):
        pod = section(body, *path)
        if any(_secret_values(pod)):
            body = _without_values(body)
            break
    return body


def _secret_values(pod: Any) -> Iterator[str]:
    for field in ("containers", "initContainers"):
        for _, container in items(pod, field):
            for _, variable in items(container, "env"):
                if "value" in variable and _SECRET_NAME.search(text(variable, "name")):
                    yield text(variable, "name")


def _without_values(value: Any) -> Any:
    """Return a copy in which environment variables with telling names have no value."""
    if isinstance(value, list):
        return [_without_values(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("value"), str) and _SECRET_NAME.search(text(value, "name")):
        return {**value, "value": GONE}
    return {key: _without_values(entry) for key, entry in value.items()}
