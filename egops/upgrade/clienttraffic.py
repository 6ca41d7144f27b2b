"""Why Envoy Gateway can't translate a ClientTrafficPolicy for a listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import CONFIG_MAP, GRPC_ROUTE, HTTP_ROUTE, SECRET
from egops.snapshot import SourceType, entries, items, section, text
from egops.upgrade.pem import decoded, first_block_error
from egops.upgrade.quantity import seconds, whole
from egops.upgrade.world import hostnames, meet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot
    from egops.upgrade.world import Listener, World

KINDS = (SECRET, CONFIG_MAP)
_MAX_BUFFER, _MIN_WINDOW, _MAX_WINDOW = 2**32 - 1, 65535, 2**31 - 1
_DURATIONS: tuple[Path, ...] = (
    ("tcpKeepalive", "idleTime"),
    ("tcpKeepalive", "interval"),
    ("timeout", "tcp", "idleTimeout"),
    ("timeout", "http", "requestReceivedTimeout"),
    ("timeout", "http", "idleTimeout"),
    ("connection", "connectionLimit", "closeDelay"),
)


class Fault(NamedTuple):
    """One error: where in the policy, what is wrong; `possible` says what would make it sure."""

    path: Path
    reason: str
    possible: str = ""


def faults(world: World, policy: Resource, listener: Listener) -> list[Fault]:
    """Return the errors that translating the policy for this listener gives."""
    if listener.protocol == "UDP" or not (listener.is_http or listener.protocol in ("TCP", "TLS")):
        return []
    found = [*_common(policy)]
    if listener.is_http:
        found += _http(world, policy, listener)
    if listener.terminates_tls and entries(listener.body, "tls", "certificateRefs"):
        found += _tls(world.snapshot, policy)
    return found


def _value(policy: Resource, path: Path) -> object:
    place: object = policy.spec
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    return place


def _common(policy: Resource) -> Iterator[Fault]:
    for path in _DURATIONS:
        value = _value(policy, path)
        if value is not None and seconds(value) is None:
            yield Fault(("spec", *path), f"{value!r} is no duration")
    limit = _value(policy, ("connection", "bufferLimit"))
    if limit is not None:
        size = whole(limit)
        if size is None or not 0 <= size <= _MAX_BUFFER:
            reason = f"bufferLimit {limit} is no whole number of bytes up to {_MAX_BUFFER}"
            yield Fault(("spec", "connection", "bufferLimit"), reason)


def _http(world: World, policy: Resource, listener: Listener) -> Iterator[Fault]:
    early = ("headers", "earlyRequestHeaders")
    for index, name in enumerate(entries(policy.spec, *early, "remove")):
        if name == "":
            yield Fault(("spec", *early, "remove", index), "an empty header name is to be removed")
    for verb in ("add", "set"):
        for index, header in items(policy.spec, *early, verb):
            name = text(header, "name")
            if not name or "/" in name or ":" in name:
                reason = f"{name!r} is no header name to {verb}"
                yield Fault(("spec", *early, verb, index), reason)
    for field in ("initialStreamWindowSize", "initialConnectionWindowSize"):
        value = _value(policy, ("http2", field))
        size = whole(value)
        if value is not None and (size is None or not _MIN_WINDOW <= size <= _MAX_WINDOW):
            reason = f"{field} {value} is not between {_MIN_WINDOW} and {_MAX_WINDOW} bytes"
            yield Fault(("spec", "http2", field), reason)
    if _value(policy, ("http1", "http10", "useDefaultHost")) is True:
        yield from _default_host(world, listener)


def _default_host(world: World, listener: Listener) -> Iterator[Fault]:
    if listener.hostname and "*" not in listener.hostname:
        return
    count = 0
    for attachment in world.routes_of(listener, HTTP_ROUTE, GRPC_ROUTE):
        concrete = {
            both
            for host in hostnames(attachment.route)
            if (both := meet(listener.hostname, host)) and "*" not in both
        }
        for _, rule in items(attachment.route.spec, "rules"):
            count += len(concrete) * max(1, len(entries(rule, "matches")))
    if count != 1:
        reason = (
            f"useDefaultHost needs exactly one route with a concrete hostname on listener "
            f"{listener.name}, there are {count}"
        )
        yield Fault(("spec", "http1", "http10", "useDefaultHost"), reason)


def _tls(snapshot: Snapshot, policy: Resource) -> Iterator[Fault]:
    place = ("tls", "clientValidation", "caCertificateRefs")
    for index, ref in items(policy.spec, *place):
        path = ("spec", *place, index)
        found = _ca_fault(snapshot, policy, ref, path)
        if found is not None:
            yield found
            return


def _ca_fault(snapshot: Snapshot, policy: Resource, ref: object, path: Path) -> Fault | None:
    kind_name = text(ref, "kind") or "Secret"
    name = text(ref, "name")
    if text(ref, "group"):
        return Fault(path, f"its group {text(ref, 'group')} is not the core group")
    if kind_name not in ("Secret", "ConfigMap"):
        return Fault((*path, "kind"), f"kind {kind_name} can't hold a CA")
    namespace = text(ref, "namespace") or policy.namespace
    if namespace != policy.namespace:
        return Fault(
            (*path, "namespace"), f"{kind_name} {namespace}/{name} is in another namespace"
        )
    kind = SECRET if kind_name == "Secret" else CONFIG_MAP
    label = f"{kind_name} {namespace}/{name}"
    holder = snapshot.find(kind, namespace, name)
    if holder is None:
        return missing(snapshot, label, kind, namespace, (*path, "name"))
    value = section(holder.body, "data").get("ca.crt")
    raw = decoded(value) if kind == SECRET else str(value or "").encode()
    if kind == SECRET and not raw:
        raw = text(holder.body, "stringData", "ca.crt").encode()
    if not raw:
        if "egops.dev/redacted" in holder.annotations:
            return None
        return Fault((*path, "name"), f"{label} has no ca.crt")
    error = first_block_error(raw, snapshot.taken_at)
    return Fault((*path, "name"), f"ca.crt of {label} {error}") if error else None


def missing(
    snapshot: Snapshot, label: str, kind: object, namespace: str, path: Path
) -> Fault | None:
    """Return that an object does not exist, as certain as the input allows; None if unknown."""
    if snapshot.source.type is SourceType.CLUSTER:
        known = kind in snapshot.resources
        return Fault(path, f"{label} does not exist") if known else None
    found = any(
        held.namespace == namespace
        for key, all_held in snapshot.resources.items()
        if key == kind
        for held in all_held
    )
    possible = "" if found else f"certain if {label} is in no other file either"
    return Fault(path, f"{label} does not exist", possible)
