"""EGU-1423 telemetry-reaches-endpoints."""

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
    code="EGU-1423",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 4, 0),
    link=notes_link((1, 4, 0)),
    ok="no EnvoyProxy sends telemetry to a backend",
)
def telemetry_reaches_endpoints(snapshot: Snapshot) -> Iterator[Problem]:
    """Telemetry goes to the endpoints of its Service instead of its name.

    ## Why it matters
    The cluster of an access log, trace or metrics backend took the Service's address by DNS;
    from 1.4 on it has the addresses of the endpoints. NetworkPolicies have to let the proxy
    reach the pods, and the OpenTelemetry attribute for the namespace is the pod's.

    ## How to fix it
    Allow the proxies to reach the collector's pods on their target port.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        for place in backends(proxy):
            yield change(
                snapshot,
                proxy.at(*place),
                "telemetry is sent to the endpoints of its backend",
                today="the proxy asks DNS for the Service",
                after="the proxy is told the endpoints, as for any route",
                verify="the cluster in /config_dump is of type EDS and has healthy hosts",
                possible="certain if the backend is a Service",
            )
