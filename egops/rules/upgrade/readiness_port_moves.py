"""EGU-1401 readiness-port-moves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, NETWORK_POLICY
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.fleetlabels import is_of_proxies
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGU-1401",
    severity=Severity.ERROR,
    optional=(
        *CORE,
        ENVOY_PROXY,
        NETWORK_POLICY,
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
    yield from _network_policies(snapshot)
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
        yield from _checks(snapshot, proxy)
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


def _checks(snapshot: Snapshot, proxy: Resource) -> Iterator[Problem]:
    """Yield load balancers that check 19001, and host ports that take 19003."""
    place: Path = ("spec", "provider", "kubernetes", "envoyService", "annotations")
    for key, value in section(proxy.body, *map(str, place)).items():
        if "health" in str(key).lower() and re.search(r"(?<!\d)19001(?!\d)", str(value)):
            yield change(
                snapshot,
                proxy.at(*place, key),
                "the load balancer checks port 19001",
                today="19001 answers /ready",
                after="only 19003 answers /ready; the load balancer sends no traffic",
                keep=("let the load balancer check 19003",),
                verify="the load balancer says that its targets are healthy",
            )
    for workload in ("envoyDeployment", "envoyDaemonSet"):
        patched: Path = ("spec", "provider", "kubernetes", workload, "patch", "value")
        pod: Path = (*patched, "spec", "template", "spec")
        for number, container in items(section(proxy.body, *map(str, pod)), "containers"):
            for index, port in items(container, "ports"):
                if 19003 in (port.get("hostPort"), port.get("containerPort")):
                    yield change(
                        snapshot,
                        proxy.at(*pod, "containers", number, "ports", index),
                        "the port 19003 is taken, which the readiness listener needs",
                        today="the port is free",
                        after="Envoy listens on 19003 for readiness",
                        keep=("move the port to another number",),
                        verify="the proxies are ready",
                    )


def _network_policies(snapshot: Snapshot) -> Iterator[Problem]:
    for policy in snapshot.all(NETWORK_POLICY):
        if not is_of_proxies(section(policy.spec, "podSelector")):
            continue
        allowed = [
            ((number, index), port.get("port"))
            for number, ingress in items(policy.spec, "ingress")
            for index, port in items(ingress, "ports")
        ]
        if any(port == 19003 for _, port in allowed):
            continue
        for (number, index), port in allowed:
            if port in (19001, "metrics"):
                yield change(
                    snapshot,
                    policy.at("spec", "ingress", number, "ports", index, "port"),
                    "19001 is open and 19003 is not, where readiness is asked for from 1.4 on",
                    today="19001 answers /ready and metrics",
                    after="19003 answers /ready, 19001 metrics alone",
                    keep=("open 19003 as well",),
                    verify="the proxies are ready",
                    severity=Severity.WARNING,
                    possible="certain if what asks for readiness has to pass the policy",
                )
                break


def _probes(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        if value.get("path") == "/ready" and value.get("port") in (19001, "metrics"):
            yield path
        for key, entry in value.items():
            yield from _probes(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _probes(entry, (*path, index))
