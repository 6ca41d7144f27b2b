"""Why Envoy Gateway 1.3 refuses an EnvoyProxy."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from egops.snapshot import entries, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Path, Resource

_PATCHED = ("envoyDeployment", "envoyHpa", "envoyPDB", "envoyService")
_SERVICE_TYPES = ("LoadBalancer", "ClusterIP", "NodePort")


class Fault(NamedTuple):
    """One reason, and the place of the value."""

    path: Path
    reason: str


def faults(proxy: Resource) -> list[Fault]:
    """Return why the validation of 1.3 refuses an EnvoyProxy; nothing if it takes it."""
    return [*_provider(proxy), *_telemetry(proxy), *_filter_order(proxy)]


def _provider(proxy: Resource) -> Iterator[Fault]:
    provider = section(proxy.spec, "provider")
    if not provider:
        return
    kind = text(provider, "type")
    if kind != "Kubernetes":
        yield Fault(("spec", "provider", "type"), f"provider type {kind or 'empty'} is refused")
    kubernetes = section(provider, "kubernetes")
    for field in _PATCHED:
        patch = section(kubernetes, field).get("patch")
        if not isinstance(patch, dict):
            continue
        path = ("spec", "provider", "kubernetes", field, "patch")
        if patch.get("value") is None:
            yield Fault(path, f"the patch of {field} has no value")
        if text(patch, "type") not in ("", "StrategicMerge", "JSONMerge"):
            yield Fault((*path, "type"), f"patch type {text(patch, 'type')} is refused")
    yield from _service(section(kubernetes, "envoyService"))


def _service(service: Mapping[str, object]) -> Iterator[Fault]:
    path = ("spec", "provider", "kubernetes", "envoyService")
    kind = text(service, "type")
    if not kind:
        return
    if kind not in _SERVICE_TYPES:
        yield Fault((*path, "type"), f"Service type {kind} is refused")
    if kind != "LoadBalancer":
        for field in (
            "allocateLoadBalancerNodePorts",
            "loadBalancerSourceRanges",
            "loadBalancerIP",
        ):
            if service.get(field) is not None:
                yield Fault((*path, field), f"{field} is refused on Service type {kind}")
    for index, value in enumerate(entries(service, "loadBalancerSourceRanges")):
        if not _is_ipv4_network(value):
            place = (*path, "loadBalancerSourceRanges", index)
            yield Fault(place, f"source range {value} is no IPv4 CIDR")
    address = service.get("loadBalancerIP")
    if address is not None and not _is_ipv4(address):
        yield Fault((*path, "loadBalancerIP"), f"loadBalancerIP {address} is no IPv4 address")


def _is_ipv4_network(value: object) -> bool:
    if not isinstance(value, str) or "/" not in value:
        return False
    try:
        return ipaddress.ip_network(value, strict=False).version == 4
    except ValueError:
        return False


def _is_ipv4(value: object) -> bool:
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return address.version == 4 or getattr(address, "ipv4_mapped", None) is not None


def _telemetry(proxy: Resource) -> Iterator[Fault]:
    log = section(proxy.spec, "telemetry", "accessLog")
    path: Path = ("spec", "telemetry", "accessLog", "settings")
    for index, setting in items(log if log.get("disable") is not True else {}, "settings"):
        form = section(setting, "format")
        for kind, field in (("Text", "text"), ("JSON", "json")):
            if text(form, "type") == kind and form.get(field) is None:
                yield Fault((*path, index, "format"), f"format {kind} without {field}")
        for number, sink in items(setting, "sinks"):
            for kind, field in (("File", "file"), ("OpenTelemetry", "openTelemetry")):
                if text(sink, "type") == kind and sink.get(field) is None:
                    place = (*path, index, "sinks", number)
                    yield Fault(place, f"sink {kind} without {field}")
    for index, sink in items(proxy.spec, "telemetry", "metrics", "sinks"):
        if text(sink, "type") == "OpenTelemetry" and sink.get("openTelemetry") is None:
            place = ("spec", "telemetry", "metrics", "sinks", index)
            yield Fault(place, "sink OpenTelemetry without openTelemetry")


def _filter_order(proxy: Resource) -> Iterator[Fault]:
    edges: dict[str, set[str]] = {}
    for index, position in items(proxy.spec, "filterOrder"):
        path = ("spec", "filterOrder", index)
        name, before, after = (text(position, key) for key in ("name", "before", "after"))
        if not before and not after:
            yield Fault(path, f"{name} is to stand neither before nor after another filter")
            return
        if before and after:
            yield Fault(path, f"{name} is to stand both before and after another filter")
        start, end = (name, before) if before else (after, name)
        if start == end or _reaches(edges, end, start):
            yield Fault(path, f"the order {start} -> {end} makes a circle")
            return
        edges.setdefault(start, set()).add(end)


def _reaches(edges: dict[str, set[str]], start: str, goal: str) -> bool:
    waiting, seen = [start], set()
    while waiting:
        here = waiting.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            waiting += edges.get(here, ())
    return False
