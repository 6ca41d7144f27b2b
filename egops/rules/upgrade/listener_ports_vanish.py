"""EGU-1301 listener-ports-vanish."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    CILIUM_POLICY,
    CONFIG_MAP,
    ENVOY_PROXY,
    NETWORK_POLICY,
    POD_MONITOR,
    SERVICE,
    SERVICE_MONITOR,
    is_proxy,
)
from egops.rules import rule
from egops.snapshot import Path, Resource, items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.fleetlabels import is_of_proxies
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Snapshot

NAMED = re.compile(r"(http|https|tls|tcp|udp)-\d+$")
TODAY = "the proxies' container has a named port for each listener (http-80, https-443)"
AFTER = "only the port metrics (19001) is left: the name resolves to nothing"
BY_PORT = re.compile(r"__meta_kubernetes_pod_container_port_(name|number)")
NUMBER = "use the port number: the listener's port, plus 10000 below 1024"


@rule(
    code="EGU-1301",
    severity=Severity.ERROR,
    optional=(
        *CORE,
        POD_MONITOR,
        SERVICE_MONITOR,
        SERVICE,
        NETWORK_POLICY,
        CILIUM_POLICY,
        CONFIG_MAP,
        ENVOY_PROXY,
    ),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="nothing refers to the proxies' container ports by name",
)
def listener_ports_vanish(snapshot: Snapshot) -> Iterator[Problem]:
    """The proxies' container loses its listener ports: what names them finds nothing.

    ## Why it matters
    Services, NetworkPolicies, monitors and probes that refer to a container port such as
    `https-443` by name have no target any more. Traffic through Envoy Gateway's own Services does
    not change. The pods are rolled once.

    ## How to fix it
    Refer to port numbers, or declare the ports by an `envoyDeployment.patch` of the EnvoyProxy.
    """
    upgrade_of(snapshot)
    yield from _monitors(snapshot)
    yield from _services(snapshot)
    yield from _network_policies(snapshot)
    yield from _cilium_policies(snapshot)
    yield from _discovery(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        yield from _patches(snapshot, proxy)
    yield from _everyone(snapshot)


def _named(snapshot: Snapshot, resource: Resource, path: Path, port: str, bad: Severity) -> Problem:
    return change(
        snapshot,
        resource.at(*path),
        f"the proxies' container port {port} is gone",
        today=TODAY,
        after=AFTER,
        keep=(NUMBER, "or declare the port by EnvoyProxy's envoyDeployment.patch"),
        verify="the target is up in Prometheus, a connection through the rule works",
        severity=bad,
    )


def _monitors(snapshot: Snapshot) -> Iterator[Problem]:
    for monitor in snapshot.all(POD_MONITOR):
        if not is_of_proxies(section(monitor.spec, "selector")):
            continue
        for index, endpoint in items(monitor.spec, "podMetricsEndpoints"):
            for key in ("port", "targetPort"):
                if NAMED.match(text(endpoint, key)):
                    path = ("spec", "podMetricsEndpoints", index, key)
                    yield _named(snapshot, monitor, path, text(endpoint, key), Severity.WARNING)
    for monitor in snapshot.all(SERVICE_MONITOR):
        for index, endpoint in items(monitor.spec, "endpoints"):
            name = text(endpoint, "targetPort")
            if NAMED.match(name):
                path = ("spec", "endpoints", index, "targetPort")
                yield _named(snapshot, monitor, path, name, Severity.WARNING)


def _services(snapshot: Snapshot) -> Iterator[Problem]:
    for service in snapshot.all(SERVICE):
        if is_proxy(service) or not is_of_proxies(section(service.spec, "selector")):
            continue
        for index, port in items(service.spec, "ports"):
            name = text(port, "targetPort")
            if name and name != "metrics":
                path = ("spec", "ports", index, "targetPort")
                yield _named(snapshot, service, path, name, Severity.ERROR)


def _network_policies(snapshot: Snapshot) -> Iterator[Problem]:
    for policy in snapshot.all(NETWORK_POLICY):
        selector = section(policy.spec, "podSelector")
        everyone = not selector and isinstance(policy.spec.get("podSelector"), dict)
        if not everyone and not is_of_proxies(selector):
            continue
        for number, ingress in items(policy.spec, "ingress"):
            for index, port in items(ingress, "ports"):
                name = text(port, "port")
                named = NAMED.match(name) if everyone else name not in ("", "metrics")
                if named:
                    path = ("spec", "ingress", number, "ports", index, "port")
                    yield _named(snapshot, policy, path, name, Severity.ERROR)


def _cilium_policies(snapshot: Snapshot) -> Iterator[Problem]:
    for policy in snapshot.all(CILIUM_POLICY):
        if not is_of_proxies(section(policy.spec, "endpointSelector")):
            continue
        for number, ingress in items(policy.spec, "ingress"):
            for place, block in items(ingress, "toPorts"):
                for index, port in items(block, "ports"):
                    name = text(port, "port")
                    if NAMED.match(name):
                        path: Path = ("spec", "ingress", number, "toPorts", place, "ports", index)
                        yield _named(snapshot, policy, (*path, "port"), name, Severity.ERROR)


def _discovery(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield scrape configurations that keep or drop pods by their container ports."""
    for config in snapshot.all(CONFIG_MAP):
        for key, value in section(config.body, "data").items():
            if isinstance(value, str) and BY_PORT.search(value):
                yield change(
                    snapshot,
                    config.at("data", key),
                    "pods are discovered by their container ports, of which the proxies have one",
                    today=TODAY,
                    after="the proxies have the port metrics (19001) alone",
                    keep=("keep pods by label or annotation, or by the port metrics",),
                    verify="the targets of the job are up in Prometheus",
                    severity=Severity.INFO,
                    possible="certain if the job is meant for listener ports of the proxies",
                )


def _patches(snapshot: Snapshot, proxy: Resource) -> Iterator[Problem]:
    for field in ("envoyDeployment", "envoyDaemonSet"):
        path: Path = ("spec", "provider", "kubernetes", field, "patch", "value")
        value = section(proxy.body, *(str(part) for part in path))
        pod: Path = ("spec", "template", "spec")
        template = section(value, *(str(part) for part in pod))
        if template.get("hostNetwork") is True:
            yield change(
                snapshot,
                proxy.at(*path, *pod, "hostNetwork"),
                "on the host's network the scheduler no longer keeps two proxies off one node",
                today="the container ports are host ports: two proxies do not fit on a node",
                after="only 19001 is declared (nothing with Prometheus disabled)",
                keep=("add an anti-affinity, or declare the ports in the patch",),
                verify="no two proxies of a fleet run on one node",
                severity=Severity.WARNING,
                possible="certain if two Gateways' fleets share nodes, or Prometheus is disabled",
            )
        for index, container in items(template, "containers"):
            where = (*path, *pod, "containers", index)
            yield from _container(snapshot, proxy, where, container)


def _container(
    snapshot: Snapshot, proxy: Resource, path: Path, container: Mapping[str, Any]
) -> Iterator[Problem]:
    declared = {text(port, "name") for _, port in items(container, "ports")}
    for index, port in items(container, "ports"):
        if "hostPort" in port and text(container, "name") == "envoy" and not text(port, "name"):
            yield change(
                snapshot,
                proxy.at(*path, "ports", index, "hostPort"),
                "the patched hostPort no longer merges with a declared port",
                today="the entry takes name and protocol of the listener's port",
                after="the entry stands alone: no name, protocol TCP unless it says another",
                keep=("write name and protocol into the entry",),
                verify="kubectl get pod -o jsonpath={..ports} shows the port as you expect",
                severity=Severity.WARNING,
                possible="certain if the entry relies on the name or protocol of the listener",
            )
    for probe in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
        for where, name in _port_names(section(container, probe)):
            if NAMED.match(name) and name not in declared:
                yield _named(snapshot, proxy, (*path, probe, *where), name, Severity.ERROR)


def _port_names(value: Any) -> Iterator[tuple[Path, str]]:
    if not isinstance(value, dict):
        return
    for key, entry in value.items():
        if key == "port" and isinstance(entry, str):
            yield (key,), entry
        for where, name in _port_names(entry):
            yield (key, *where), name


def _everyone(snapshot: Snapshot) -> Iterator[Problem]:
    joined = world(snapshot)
    anchor = joined.anchor()
    if anchor is None or not joined.gateways:
        return
    yield change(
        snapshot,
        anchor,
        f"the proxies of {len(joined.gateways)} Gateway(s) are restarted once",
        today="their container declares a port for each listener",
        after="it declares metrics (19001) only; the Services stay as they are",
        keep=("nothing refers to the ports by name, or see the other findings",),
        verify="kubectl get deploy -A -l app.kubernetes.io/component=proxy -o jsonpath='{..ports}'",
        severity=Severity.INFO,
    )
