"""Kubernetes quantities, Go durations and Go addresses: as much of them as Envoy Gateway reads."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("0.001"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18), "Ki": Decimal(2**10), "Mi": Decimal(2**20),
    "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)$")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|ms|s|m|h)")


def whole(value: object) -> int | None:
    """Return a quantity such as `32Ki` as a whole number, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    found = _QUANTITY.match(str(value).strip())
    if not found:
        return None
    try:
        number = Decimal(found.group(1) + (found.group(2) or ""))
    except InvalidOperation:
        return None
    number *= _SUFFIXES[found.group(3) or ""]
    return int(number) if number == number.to_integral_value() else None


def seconds(value: object) -> float | None:
    """Return a Go duration such as `1m30s` in seconds, None if it is none."""
    if not isinstance(value, str) or not value:
        return None
    text = value.lstrip("+-")
    if text == "0":
        return 0.0
    total, end = 0.0, 0
    for found in _PART.finditer(text):
        if found.start() != end or not found.group(1).strip("."):
            return None
        total += float(found.group(1)) * _UNITS[found.group(2)]
        end = found.end()
    if end != len(text) or not text:
        return None
    return -total if value.startswith("-") else total
