"""EGU-1314 xds-host-unresolvable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CONFIG_MAP, DEPLOYMENT, ENVOY_GATEWAY, HELM_VALUES
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

DEFAULT = "cluster.local"
_COREDNS = re.compile(r"^\s*kubernetes\s+(\S+)", re.MULTILINE)


@rule(
    code="EGU-1314",
    severity=Severity.ERROR,
    optional=(DEPLOYMENT, ENVOY_GATEWAY, CONFIG_MAP, HELM_VALUES),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://github.com/envoyproxy/gateway/pull/4533",
    ok="the controller knows the cluster's DNS domain",
)
def xds_host_unresolvable(snapshot: Snapshot) -> Iterator[Problem]:
    """Proxies dial the controller by its full name, which needs the cluster's DNS domain.

    ## Why it matters
    Proxies dialled `envoy-gateway` and now dial `envoy-gateway.NAMESPACE.svc.DOMAIN`. On a cluster
    with a domain of its own and the chart's value `kubernetesClusterDomain` unset, the proxies that
    the upgrade starts get no configuration and never become ready.

    ## How to fix it
    Set the chart's value `kubernetesClusterDomain` to the domain of the cluster.
    """
    upgrade_of(snapshot)
    real = _real_domain(snapshot)
    install = world(snapshot).install
    if install is not None and install.deployment is not None and real:
        told = DEFAULT
        for _, container in items(install.deployment.spec, "template", "spec", "containers"):
            for _, variable in items(container, "env"):
                if text(variable, "name") == "KUBERNETES_CLUSTER_DOMAIN":
                    told = text(variable, "value") or DEFAULT
        if told != real:
            at = install.deployment.at("spec", "template", "spec", "containers")
            yield _problem(snapshot, at, told, real)
    for values in snapshot.all(HELM_VALUES):
        told = text(values.body, "values", "kubernetesClusterDomain") or DEFAULT
        path = section(values.body, "values").get("kubernetesClusterDomain")
        if real and told != real:
            at = values.at(*(("values", "kubernetesClusterDomain") if path else ()))
            yield _problem(snapshot, at, told, real)


def _problem(snapshot: Snapshot, at: object, told: str, real: str) -> Problem:
    from egops.snapshot import Location  # noqa: PLC0415 - only to narrow the type

    assert isinstance(at, Location)
    return change(
        snapshot,
        at,
        f"new proxies look for the controller in the DNS domain {told}, the cluster's is {real}",
        today="proxies dial envoy-gateway, which the search path completes",
        after=f"proxies dial envoy-gateway.NAMESPACE.svc.{told}, which does not resolve",
        keep=(f"set the chart's value kubernetesClusterDomain: {real}",),
        verify="xds_cluster is healthy in /clusters, control_plane.connected_state is 1",
    )


def _real_domain(snapshot: Snapshot) -> str:
    """Return the domain in CoreDNS' configuration, or nothing if it is not known."""
    for found in snapshot.all(CONFIG_MAP):
        if found.name == "coredns" and found.namespace == "kube-system":
            match = _COREDNS.search(text(found.body, "data", "Corefile"))
            return match.group(1).rstrip(".") if match else ""
    return ""
