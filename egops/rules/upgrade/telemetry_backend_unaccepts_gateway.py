"""EGU-1325 telemetry-backend-unaccepts-gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, SERVICE, Entry, object_ref
from egops.rules import rule
from egops.snapshot import Resource, entries, items, number, section, text
from egops.upgrade.cel import is_expression
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.quantity import seconds
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot


@rule(
    code="EGU-1325",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY,),
    optional=(*CORE, SERVICE),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every telemetry backend of an EnvoyProxy can be used",
)
def telemetry_backend_unaccepts_gateway(snapshot: Snapshot) -> Iterator[Problem]:
    """A telemetry backend that can't be used takes the Gateway's acceptance and its addresses.

    ## Why it matters
    Up to 1.2 an odd condition told of it. From 1.3 on the Gateway is Accepted=False: the proxies
    go on, but `status.addresses` stays empty, so external-dns may withdraw records and deployments
    that wait for the Gateway fail.

    ## How to fix it
    Correct the backendRef of the access log, tracing or metrics sink, or the CEL expression.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    proxies = [(proxy, gateways) for proxy, gateways in joined.used_proxies.values()]
    if not joined.is_whole:
        proxies = [(proxy, ()) for proxy in snapshot.all(ENVOY_PROXY)]
    for proxy, gateways in proxies:
        for path, reason, possible in _faults(joined, proxy):
            names = ", ".join(f"{g.namespace}/{g.name}" for g in gateways) or "its Gateways"
            yield change(
                snapshot,
                proxy.at(*path),
                f"{names}: not accepted any more, {reason}",
                today="a condition ListenersNotValid tells of it, the Gateway is accepted",
                after="Accepted=False, InvalidParameters; status.addresses is not filled",
                keep=("correct the reference or the expression before the upgrade",),
                verify="the Gateway is Accepted=True and has its address",
                possible=possible,
            )


def _faults(joined: World, proxy: Resource) -> Iterator[tuple[Path, str, str]]:
    telemetry: Path = ("spec", "telemetry")
    log = section(proxy.spec, "telemetry", "accessLog")
    if log.get("disable") is not True:
        for index, setting in items(log, "settings"):
            path = (*telemetry, "accessLog", "settings", index)
            for place, expression in enumerate(entries(setting, "matches")):
                if not (isinstance(expression, str) and is_expression(expression)):
                    yield (*path, "matches", place), f"{expression!r} is no CEL expression", ""
            for place, sink in items(setting, "sinks"):
                for kind in ("als", "openTelemetry"):
                    where = (*path, "sinks", place, kind)
                    yield from _refs(joined, Entry(proxy, where, section(sink, kind)))
    provider = section(proxy.spec, "telemetry", "tracing", "provider")
    yield from _refs(joined, Entry(proxy, (*telemetry, "tracing", "provider"), provider))
    for index, sink in items(proxy.spec, "telemetry", "metrics", "sinks"):
        where = (*telemetry, "metrics", "sinks", index, "openTelemetry")
        yield from _refs(joined, Entry(proxy, where, section(sink, "openTelemetry")))


def _refs(joined: World, entry: Entry) -> Iterator[tuple[Path, str, str]]:
    for index, body in items(entry.body, "backendRefs"):
        path = (*entry.path, "backendRefs", index)
        found = _ref(joined.snapshot, Entry(entry.resource, path, body))
        if found is not None:
            yield path, *found
    retry: Path = ("backendSettings", "retry", "perRetry", "backOff")
    backoff = section(entry.body, *(str(part) for part in retry))
    base, limit = (seconds(backoff.get(key)) for key in ("baseInterval", "maxInterval"))
    if base == 0 or limit == 0 or (base is not None and limit is not None and base > limit):
        yield (*entry.path, *retry), "its retry back-off is refused", ""


def _ref(snapshot: Snapshot, entry: Entry) -> tuple[str, str] | None:
    ref = object_ref(entry)
    if ref.kind_name != "Service":
        return f"a telemetry backend can't be a {ref.kind_name}", ""
    if ref.port is None:
        return f"{ref} is named without a port", ""
    service = snapshot.find(SERVICE, ref.namespace, ref.name)
    if service is None:
        if not snapshot.knows(SERVICE):
            return None
        return f"{ref} does not exist", ""
    for _, port in items(service.spec, "ports"):
        if number(port, "port") == ref.port and (text(port, "protocol") or "TCP") == "TCP":
            return None
    return f"{ref} has no TCP port {ref.port}", ""
