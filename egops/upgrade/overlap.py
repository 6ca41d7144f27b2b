"""HTTPS listeners of one port that overlap, by hostname or by the names of their certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import SECRET
from egops.pki import pair
from egops.snapshot import items, text
from egops.upgrade.world import meet

if TYPE_CHECKING:
    from egops.snapshot import Snapshot
    from egops.upgrade.world import Listener

Version = tuple[int, ...]
BY_SUFFIX = (1, 4, 2)  # before it `oo.example` overlaps with `foo.example`
BY_DOMAIN = (1, 5, 1)  # before it `a.example` overlaps with `x.a.example`
DISJOINT_ALLOWED = (1, 8, 0)  # hostnames may overlap where the certificates don't


def overlap(snapshot: Snapshot, one: Listener, other: Listener, release: Version) -> str:
    """Return in what two HTTPS listeners overlap for a release, nothing if they don't."""
    if one.port != other.port or one.label == other.label:
        return ""
    if shared := _shared_names(snapshot, one, other):
        return shared
    if one.hostname == other.hostname:
        return ""  # a conflict: one of them is not programmed at all
    return "hostname" if _hosts(one.hostname, other.hostname, release) else ""


def _hosts(one: str, other: str, release: Version) -> bool:
    if not one or not other:
        return True
    if release >= BY_DOMAIN:
        return bool(meet(one, other))
    first, second = (host.replace("*.", "", 1) for host in (one, other))
    dot = "." if release >= BY_SUFFIX else ""
    return first == second or first.endswith(dot + second) or second.endswith(dot + first)


def _shared_names(snapshot: Snapshot, one: Listener, other: Listener) -> str:
    """Return the certificate name that both serve, or `certificate` for one Secret of both."""
    first, second = _secrets(one), _secrets(other)
    if set(first) & set(second):
        return "certificate"
    for name in _names(snapshot, first):
        for found in _names(snapshot, second):
            if meet(name, found):
                return f"certificate name {meet(name, found)}"
    return ""


def _secrets(listener: Listener) -> list[tuple[str, str]]:
    namespace = listener.gateway.namespace
    return [
        (text(ref, "namespace") or namespace, text(ref, "name"))
        for _, ref in items(listener.body, "tls", "certificateRefs")
        if (text(ref, "kind") or "Secret") == "Secret"
    ]


def _names(snapshot: Snapshot, secrets: list[tuple[str, str]]) -> list[str]:
    found: list[str] = []
    for namespace, name in secrets:
        secret = snapshot.find(SECRET, namespace, name)
        leaf = pair(secret).leaf if secret is not None else None
        found += leaf.dns_names if leaf is not None else ()
    return found
