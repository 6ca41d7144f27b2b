"""From Envoy's words to the object that is meant: who can have caused a refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import (
    CLIENT_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    SECURITY_POLICY,
)
from egops.snapshot import items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Kind, Location, Resource, Snapshot

KINDS = (
    SECURITY_POLICY, CLIENT_TRAFFIC_POLICY, ENVOY_EXTENSION_POLICY, HTTP_ROUTE, GRPC_ROUTE,
)  # fmt: skip
MOST = 3  # more than so many suspects are none


class Hint(NamedTuple):
    """Words of Envoy, and the field of a kind that leads to them."""

    words: re.Pattern[str]
    kind: Kind
    field: tuple[str, ...]


def _hint(words: str, kind: Kind, *field: str) -> Hint:
    return Hint(re.compile(words, re.IGNORECASE), kind, field)


HINTS = (
    _hint(r"basic.?auth", SECURITY_POLICY, "basicAuth"),
    _hint(r"api.?key", SECURITY_POLICY, "apiKeyAuth"),
    _hint(r"jwt|jwks", SECURITY_POLICY, "jwt"),
    _hint(r"oauth|oidc", SECURITY_POLICY, "oidc"),
    _hint(r"rbac|cel ", SECURITY_POLICY, "authorization"),
    _hint(r"cipher|tls_params|signature algorithm|ecdh|alpn", CLIENT_TRAFFIC_POLICY, "tls"),
    _hint(r"proxy.?protocol", CLIENT_TRAFFIC_POLICY, "proxyProtocol"),
    _hint(r"quic|http3|http/3", CLIENT_TRAFFIC_POLICY, "http3"),
    _hint(r"\blua\b", ENVOY_EXTENSION_POLICY, "lua"),
    _hint(r"wasm", ENVOY_EXTENSION_POLICY, "wasm"),
    _hint(r"ext.?proc", ENVOY_EXTENSION_POLICY, "extProc"),
    _hint(r"dynamic.?module", ENVOY_EXTENSION_POLICY, "dynamicModule"),
)
_REGEX = re.compile(
    r"(?:invalid perl operator|invalid escape sequence|missing argument to repetition operator"
    r"|bad repetition operator|invalid nested repetition operator|unexpected \)|missing \)"
    r"|missing \]|invalid character class(?: range)?|invalid named capture group"
    r"|invalid UTF-8): (?P<part>.+)",
    re.IGNORECASE,
)


def suspects(reason: str, snapshot: Snapshot) -> list[Location]:
    """Return the few objects that Envoy's words can be about; none if there are too many."""
    found = list(_by_regex(reason, snapshot)) or [
        policy.at("spec", hint.field[0])
        for hint in HINTS
        if hint.words.search(reason)
        for policy in snapshot.all(hint.kind)
        if policy.spec.get(hint.field[0])
    ]
    return found if len(found) <= MOST else []


def _by_regex(reason: str, snapshot: Snapshot) -> Iterator[Location]:
    """Yield the matches of routes whose expression holds what RE2 objects to."""
    if (found := _REGEX.search(reason)) is None:
        return
    part = found["part"].strip()
    for kind in (HTTP_ROUTE, GRPC_ROUTE):
        for route in snapshot.all(kind):
            yield from _matches_with(route, part)


def _matches_with(route: Resource, part: str) -> Iterator[Location]:
    for rule_index, rule in items(route.spec, "rules"):
        for index, match in items(rule, "matches"):
            where = ("spec", "rules", rule_index, "matches", index)
            path = section(match, "path")
            if text(path, "type") == "RegularExpression" and part in text(path, "value"):
                yield route.at(*where, "path", "value")
            for field in ("headers", "queryParams"):
                for entry_index, entry in items(match, field):
                    if text(entry, "type") == "RegularExpression" and part in text(entry, "value"):
                        yield route.at(*where, field, entry_index, "value")
