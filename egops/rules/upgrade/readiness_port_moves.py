"""EGU-1401 readiness-port-moves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Snapshot


@rule(
    code="EGU-1401",
    severity=Severity.ERROR,
    optional=(
        *CORE,
        ENVOY_PROXY,
    ),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="nothing asks port 19001 for readiness or takes port 19003",
)
def readiness_port_moves(snapshot: Snapshot) -> Iterator[Problem]:
    """Readiness of the proxies moves from port 19001 to a listener of its own on 19003.

    ## Why it matters
    `/ready` on 19001 is gone: probes and load balancer checks on it fail, the proxies are restarted
    or get no traffic. A listener of a Gateway on 19003 collides. Bootstrap patches by index hit
    another listener.

    ## How to fix it
    Ask 19003 for `/ready`, move the listener, write bootstrap patches anew.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for listener in joined.listeners:
        if listener.port == 19003:
            yield change(
                snapshot,
                listener.at("port"),
                "it takes port 19003, which the readiness listener needs",
                today="the port is free",
                after="two listeners want 19003: Envoy refuses one of them",
                keep=("move the listener to another port",),
                verify="the Gateway is Programmed=True, the proxies are ready",
            )
    for proxy in snapshot.all(ENVOY_PROXY):
        for path in _probes(section(proxy.spec, "provider"), ("spec", "provider")):
            yield change(
                snapshot,
                proxy.at(*path),
                "a probe asks port 19001 for /ready",
                today="19001 answers /ready",
                after="only 19003 answers /ready; the proxies do not become ready",
                keep=("set the port of the probe to 19003",),
                verify="the proxies are ready",
                fix_patch=patch(proxy, (*path, "port"), 19003),
            )
        for index, entry in items(proxy.spec, "bootstrap", "jsonPatches"):
            if re.match(r"/static_resources/listeners/\d", text(entry, "path")):
                yield change(
                    snapshot,
                    proxy.at("spec", "bootstrap", "jsonPatches", index, "path"),
                    "a bootstrap patch by index meets another listener",
                    today="index 0 is the listener on 19001",
                    after="the readiness listener on 19003 is added to the list",
                    keep=("render the bootstrap of the target and set the index anew",),
                    verify="the static listeners in /config_dump",
                )


def _probes(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        if value.get("path") == "/ready" and value.get("port") in (19001, "metrics"):
            yield path
        for key, entry in value.items():
            yield from _probes(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _probes(entry, (*path, index))
