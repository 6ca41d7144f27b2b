"""EGU-1725 quic-hosts-told-apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1725",
    severity=Severity.INFO,
    optional=(*ROUTES, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no HTTP/3 listener has a hostname",
)
def quic_hosts_told_apart(snapshot: Snapshot) -> Iterator[Problem]:
    """HTTP/3 listeners choose the certificate by server name again.

    ## Why it matters
    Up to 1.6 the filter chains of a QUIC listener took every server name, so that several
    hostnames could not share a port.

    ## How to fix it
    Try HTTP/3 with each hostname after the upgrade.
    """
    upgrade_of(snapshot)
    for policy, listeners in world(snapshot).on_listeners(CLIENT_TRAFFIC_POLICY):
        hosts = [found.hostname for found in listeners if found.protocol == "HTTPS"]
        if isinstance(policy.spec.get("http3"), dict) and any(hosts):
            yield change(
                snapshot,
                policy.at("spec", "http3"),
                "QUIC connections are told apart by server name",
                today="any server name is taken",
                after="clients have to name the listener's hostname",
                verify="curl --http3 each hostname",
            )
