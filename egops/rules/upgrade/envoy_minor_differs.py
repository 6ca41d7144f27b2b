"""EGU-1334 envoy-minor-differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1334",
    severity=Severity.INFO,
    optional=(SECURITY_POLICY, CLIENT_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 3, 0),
    link="https://www.envoyproxy.io/docs/envoy/v1.33.0/version_history/v1.33/v1.33.0",
    ok="nothing uses what Envoy 1.33 does another way",
)
def envoy_minor_differs(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy 1.33 handles logins and client addresses from a header another way.

    ## Why it matters
    OAuth2 state and nonce have a new format: logins under way while old and new proxies serve side
    by side can fail once. Detection of the client's address from a header of one's own no longer
    appends to `X-Forwarded-For`.

    ## How to fix it
    Upgrade while few people log in. Read the client's address from the header itself.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(SECURITY_POLICY):
        if section(policy.spec, "oidc"):
            yield change(
                snapshot,
                policy.at("spec", "oidc"),
                "logins under way during the rollout can fail once",
                today="state and nonce in the format of Envoy 1.32",
                after="another format: old and new proxies do not understand each other's",
                keep=("upgrade while few people log in",),
                verify="a login works",
                possible="certain for logins that both proxies take part in",
            )
    path = ("clientIPDetection", "customHeader")
    for client in snapshot.all(CLIENT_TRAFFIC_POLICY):
        if section(client.spec, *path):
            yield change(
                snapshot,
                client.at("spec", *path),
                "X-Forwarded-For is no longer appended to",
                today="the peer's address is appended",
                after="the header is left alone",
                keep=("let backends read the custom header",),
                verify="the X-Forwarded-For that the backend gets",
                possible="certain if a backend reads X-Forwarded-For",
            )
