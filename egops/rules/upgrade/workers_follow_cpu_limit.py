"""EGU-1710 workers-follow-cpu-limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1710",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="every fleet with a CPU limit says how many workers it runs",
)
def workers_follow_cpu_limit(snapshot: Snapshot) -> Iterator[Problem]:
    """The number of worker threads follows the CPU limit of the container.

    ## Why it matters
    It followed the CPUs of the node. Fewer workers mean fewer connections to backends and other
    figures per worker (circuit breakers, connection pools).

    ## How to fix it
    Set `concurrency` in the EnvoyProxy to fix the number.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        for workload in ("envoyDeployment", "envoyDaemonSet"):
            path = ("spec", "provider", "kubernetes", workload, "container", "resources", "limits")
            limits = section(proxy.body, *path)
            if "cpu" in limits and proxy.spec.get("concurrency") is None:
                yield change(
                    snapshot,
                    proxy.at(*path, "cpu"),
                    f"the proxies run as many workers as fit into {limits['cpu']} CPU",
                    today="one worker for each CPU of the node",
                    after="one worker for each CPU of the limit",
                    keep=("set spec.concurrency in the EnvoyProxy",),
                    verify="server.concurrency in the stats of a proxy",
                )
