"""EGU-1723 collector-sees-authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.telemetry import backends
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1723",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no EnvoyProxy sends OpenTelemetry",
)
def collector_sees_authority(snapshot: Snapshot) -> Iterator[Problem]:
    """OpenTelemetry is sent with the host name of the collector as authority.

    ## Why it matters
    The `:authority` was the cluster's name. From 1.7 on it is the Service's host name, which a
    mesh or an ingress in front of the collector may route by.

    ## How to fix it
    Look at what stands in front of the collector.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        for place in backends(proxy):
            yield change(
                snapshot,
                proxy.at(*place),
                "the collector sees another :authority",
                today="the name of Envoy's cluster",
                after="the host name of the Service (from 1.9 on it ends in .svc)",
                verify="the collector still receives what the proxies send",
            )
