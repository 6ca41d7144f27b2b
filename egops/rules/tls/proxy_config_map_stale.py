"""EGD-427 proxy-config-map-stale."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import chain_to
from egops.finding import Problem, Severity
from egops.gatewayapi import CONFIG_MAP, DEPLOYMENT, ENVOY_GATEWAY, SECRET, installs, is_proxy
from egops.pki import certificates, changed_at, pair
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Install
    from egops.snapshot import Resource, Snapshot

UNDER_WAY = timedelta(minutes=3)


@rule(
    code="EGD-427",
    severity=Severity.ERROR,
    reads=(CONFIG_MAP, SECRET),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    versions=((1, 4), None),
    since="0.1",
    ok="the proxies' ConfigMaps hold the CA of Secret envoy (GatewayNamespace mode)",
)
def proxy_config_map_stale(snapshot: Snapshot) -> Iterator[Problem]:
    """The ConfigMap of a proxy holds another CA than Secret `envoy`.

    ## Why it matters
    In GatewayNamespace mode proxies get the control plane's CA from a ConfigMap, a copy that Envoy
    Gateway makes. Release 1.9.0 follows the Secret within seconds; a copy that stays old (no
    leader, an older release, no permission) makes its proxies refuse Envoy Gateway with their next
    connection.

    ## How to fix it
    See whether Envoy Gateway has a leader and may write there, then restart it: it writes all
    ConfigMaps again.
    """
    for install in installs(snapshot):
        secret = snapshot.find(SECRET, install.namespace, "envoy")
        if not install.is_gateway_namespace_mode or secret is None:
            continue
        for config in snapshot.all(CONFIG_MAP):
            if is_proxy(config) and config.namespace != install.namespace:
                yield from _judge(config, secret, install, snapshot)


def _judge(
    config: Resource, secret: Resource, install: Install, snapshot: Snapshot
) -> Iterator[Problem]:
    copied, fault = certificates(config, "ca.crt")
    wanted = pair(secret).authorities
    if not wanted or (not copied and not fault):
        return
    if {each.fingerprint for each in copied} == {each.fingerprint for each in wanted}:
        return
    gateway = snapshot.find(SECRET, install.namespace, "envoy-gateway")
    found = pair(gateway) if gateway is not None else None
    breaks = bool(found and found.leaf and not chain_to(found.leaf, copied, found.chain[1:]))
    changed = changed_at(secret)
    yield Problem(
        config.at("data", "ca.crt"),
        f"it holds another CA than {secret.ref}" if copied else fault,
        impact="its proxies refuse Envoy Gateway with their next connection"
        if breaks
        else "its proxies refuse Envoy Gateway once its certificate is replaced",
        evidence=(
            f"ConfigMap: {', '.join(map(str, copied)) or 'no CA'}",
            f"Secret: {', '.join(map(str, wanted))}",
        ),
        remedy=("restart Envoy Gateway: it writes the ConfigMaps again",),
        severity=None if breaks else Severity.WARNING,
        settled=changed is None or snapshot.taken_at - changed >= UNDER_WAY,
        related=(secret.at("data", "ca.crt"),),
    )
