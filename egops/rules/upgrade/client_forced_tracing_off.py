"""EGU-1908 client-forced-tracing-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, SERVICE
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.telemetry import reaches
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "telemetry", "tracing")


@rule(
    code="EGU-1908",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY,),
    optional=(*CORE, SERVICE),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no EnvoyProxy traces, or the sampling of clients is set",
)
def client_forced_tracing_off(snapshot: Snapshot) -> Iterator[Problem]:
    """Clients can no longer force a trace unless the EnvoyProxy allows it.

    ## Why it matters
    Requests that force tracing (`x-client-trace-id`) were all traced. From 1.9 on the fraction for
    clients is 0 % unless it is set: those traces are missing.

    ## How to fix it
    Set `telemetry.tracing.clientSamplingFraction` if clients are to force traces.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        tracing = section(proxy.spec, *PATH[1:])
        works = reaches(snapshot, proxy, section(tracing, "provider"))
        if not tracing or "clientSamplingFraction" in tracing or not works:
            continue
        yield change(
            snapshot,
            proxy.at(*PATH),
            "traces that clients force are no longer made",
            today="client sampling is 100 %",
            after="client sampling is 0 % unless clientSamplingFraction is set",
            keep=("after the CRDs are new, set clientSamplingFraction: {numerator: 100}",),
            verify="a request with x-client-trace-id gives a trace",
            possible="certain if clients send x-client-trace-id",
            fix_patch=patch(proxy, (*PATH, "clientSamplingFraction"), {"numerator": 100}),
        )
