"""EGU-1602 upstream-offers-http2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "backendTLS")


@rule(
    code="EGU-1602",
    severity=Severity.WARNING,
    reads=(ENVOY_PROXY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no EnvoyProxy leaves the ALPN of its backend TLS to the default",
)
def upstream_offers_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """Backend TLS of an EnvoyProxy offers `h2` by default from 1.6 on.

    ## Why it matters
    Backends that choose `h2` and speak it badly answer with errors.

    ## How to fix it
    Set `backendTLS.alpnProtocols: [http/1.1]` if a backend is not good at HTTP/2.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    used = [proxy for proxy, _ in joined.used_proxies.values()]
    for proxy in used if joined.is_whole else snapshot.all(ENVOY_PROXY):
        tls = section(proxy.spec, "backendTLS")
        if tls and "alpnProtocols" not in tls:
            yield change(
                snapshot,
                proxy.at(*PATH),
                "TLS connections to backends offer h2 and http/1.1",
                today="no ALPN protocol is offered unless it is set",
                after="h2 and http/1.1 are offered",
                keep=("set backendTLS.alpnProtocols: [http/1.1] to stay with HTTP/1.1",),
                verify="the backends answer; upstream_cx_http2_total of their clusters",
                possible="certain if a backend with TLS chooses h2 and is not good at it",
                fix_patch=patch(proxy, (*PATH, "alpnProtocols"), ["http/1.1"]),
            )
