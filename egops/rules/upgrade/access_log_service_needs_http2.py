"""EGU-1505 access-log-service-needs-http2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1505",
    severity=Severity.INFO,
    reads=(ENVOY_PROXY,),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no access log goes to an access log service",
)
def access_log_service_needs_http2(snapshot: Snapshot) -> Iterator[Problem]:
    """Access log services are spoken to in HTTP/2.

    ## Why it matters
    A server that speaks HTTP/1 only gets no logs any more. Servers of gRPC speak HTTP/2 anyway.

    ## How to fix it
    Let the server speak HTTP/2.
    """
    upgrade_of(snapshot)
    for proxy in snapshot.all(ENVOY_PROXY):
        for setting, body in items(proxy.spec, "telemetry", "accessLog", "settings"):
            for index, sink in items(body, "sinks"):
                if section(sink, "als"):
                    path = ("telemetry", "accessLog", "settings", setting, "sinks", index, "als")
                    yield change(
                        snapshot,
                        proxy.at("spec", *path),
                        "the access log service has to speak HTTP/2",
                        today="the protocol follows the Service's port",
                        after="it is always HTTP/2",
                        keep=("let the server speak HTTP/2",),
                        verify="logs arrive",
                        possible="certain if the server speaks HTTP/1 only",
                    )
