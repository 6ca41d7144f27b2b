"""How access logs change: the default format, logs without a sink or format, types in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.snapshot import entries, items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import is_in_force
from egops.upgrade.world import CORE, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Path, Resource, Snapshot

KINDS = (*CORE, ENVOY_PROXY)
JSON_DEFAULT = ((1, 2, 7), (1, 3, 1))  # the default log goes through the JSON formatter


def changed_logs(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield the access logs that look different after the step."""
    step = upgrade_of(snapshot)
    joined = world(snapshot)
    before = is_in_force(step.from_version, JSON_DEFAULT)
    after = is_in_force(step.to_version, JSON_DEFAULT)
    typed = step.from_version < (1, 3) <= step.to_version  # Envoy 1.33 keeps types
    proxies = [proxy for proxy, _ in joined.used_proxies.values()]
    if not joined.is_whole:
        proxies = list(snapshot.all(ENVOY_PROXY))
    for proxy in proxies:
        yield from _proxy(snapshot, proxy, before=before, after=after, typed=typed)
    yield from _default(joined, before=before, after=after)


def _word(*, json: bool) -> str:
    return "JSON" if json else "text"


def _proxy(
    snapshot: Snapshot, proxy: Resource, *, before: bool, after: bool, typed: bool
) -> Iterator[Problem]:
    log = section(proxy.spec, "telemetry", "accessLog")
    if log.get("disable") is True:
        return
    for index, setting in items(log, "settings"):
        path: Path = ("spec", "telemetry", "accessLog", "settings", index)
        kind = text(setting, "format", "type")
        if before != after and (told := _lost(setting, kind, before=before)):
            yield change(
                snapshot,
                proxy.at(*path),
                told,
                today=_state(setting, kind, json=before),
                after=_state(setting, kind, json=after),
                keep=("write out format and a sink of type File, or go to a later patch",),
                verify="a line of the log has the format you expect",
            )
        elif typed and kind == "JSON" and _is_json_file(setting, json=after):
            yield change(
                snapshot,
                proxy.at(*path, "format", "json"),
                "numbers and booleans in the JSON log stop being strings",
                today='every value is a string: "response_code": "200"',
                after='Envoy 1.33 keeps types: "response_code": 200',
                keep=("adapt the mapping of the log store before the upgrade",),
                verify="new lines arrive in the log store",
            )


def _sinks(setting: object) -> list[str]:
    return [text(sink, "type") for _, sink in items(setting, "sinks")]


def _is_json_file(setting: object, *, json: bool) -> bool:
    """Return whether Envoy's JSON formatter writes the log: a file with fields, or no sink."""
    sinks = _sinks(setting)
    return bool(section(setting, "format", "json")) and ("File" in sinks or (not sinks and json))


def _lost(setting: object, kind: str, *, before: bool) -> str:
    sinks = _sinks(setting)
    if not entries(setting, "sinks"):
        other = "JSON" if before else "text"
        return f"the log without a sink goes from {other} to {'text' if before else 'JSON'}"
    if not kind and "File" in sinks:
        return f"the file log without a format {'appears' if before else 'disappears'}"
    if "OpenTelemetry" in sinks and kind in ("", "JSON"):
        return "the body and the attributes of OpenTelemetry log records change"
    return ""


def _state(setting: object, kind: str, *, json: bool) -> str:
    sinks = _sinks(setting)
    if not sinks:
        if json:
            return "format.json counts, or the default fields as JSON; format.text is ignored"
        return "format.text counts, or the default text; format.json is ignored"
    if not kind and "File" in sinks:
        return "nothing is written to the file" if json else "the default text is written"
    if json:
        return "records have the attributes given (or all default ones) and no body"
    return "records have the default text as body, and the attributes given"


def _default(joined: World, *, before: bool, after: bool) -> Iterator[Problem]:
    if before == after:
        return
    hit = [
        gateway
        for gateway in joined.gateways
        if not (proxy := joined.proxy_of(gateway)) or _uses_default(proxy)
    ]
    if not hit:
        return
    yield change(
        joined.snapshot,
        hit[0].at(),
        f"the default access log of {len(hit)} Gateway(s) goes from {_word(json=before)} to "
        f"{_word(json=after)}",
        evidence=tuple(f"Gateway {found.namespace}/{found.name}" for found in hit[:10]),
        today=f"it is written by the {_word(json=before)} formatter",
        after=f"it is written by the {_word(json=after)} formatter"
        + ("" if after else ": values are not escaped (CVE-2025-25294) and numbers are quoted"),
        keep=("choose a patch with the JSON formatter, or write out the format",),
        verify="new lines arrive in the log store",
        severity=Severity.INFO,
    )


def _uses_default(proxy: Resource) -> bool:
    log = section(proxy.spec, "telemetry", "accessLog")
    return log.get("disable") is not True and not entries(log, "settings")
