"""Whether one request could match two routes: no only where that is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egops.xds.words import Match, Value


def may_both_match(first: Match, second: Match) -> bool:
    """Return False only if no request can match both."""
    if _paths_are_disjoint(first.path, second.path):
        return False
    if first.method and second.method and first.method != second.method:
        return False
    for field in ("headers", "query_params", "cookies"):
        if _values_are_disjoint(getattr(first, field), getattr(second, field)):
            return False
    calls = first.grpc, second.grpc
    if calls[0] and calls[1] and calls[0].type == calls[1].type == "Exact":
        for part in ("service", "method"):
            one, other = getattr(calls[0], part), getattr(calls[1], part)
            if one and other and one != other:
                return False
    return True


def _paths_are_disjoint(first: Value | None, second: Value | None) -> bool:
    if first is None or second is None:
        return False
    if True in (first.ignore_case, second.ignore_case):
        return False
    if first.type == second.type == "Exact":
        return first.value != second.value
    if second.type == "Exact":
        first, second = second, first
    if first.type == "Exact":
        return not _covers(second, first.value)
    prefixes = ("PathPrefix", "Prefix")
    if first.type in prefixes and second.type in prefixes:
        return not (_covers(first, second.value) or _covers(second, first.value))
    return False


def _covers(prefix: Value, path: str) -> bool:
    """Return whether the prefix may take the path; an unknown kind always may."""
    if prefix.type == "Prefix" or prefix.value == "/":
        return path.startswith(prefix.value)
    if prefix.type == "PathPrefix":
        return path == prefix.value or path.startswith(f"{prefix.value}/")
    return True


def _values_are_disjoint(first: tuple[Value, ...], second: tuple[Value, ...]) -> bool:
    """Return whether the same header must have two different exact values."""
    exact = {
        str(value.name).lower(): value.value
        for value in first
        if value.type == "Exact" and value.invert is not True and value.ignore_case is not True
    }
    return any(
        value.type == "Exact"
        and value.invert is not True
        and value.ignore_case is not True
        and exact.get(str(value.name).lower(), value.value) != value.value
        for value in second
    )
