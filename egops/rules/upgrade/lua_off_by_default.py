"""EGU-1902 lua-off-by-default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY, ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import entries, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1902",
    severity=Severity.ERROR,
    reads=(ENVOY_EXTENSION_POLICY,),
    optional=(
        *ROUTES,
        ENVOY_GATEWAY,
    ),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no EnvoyExtensionPolicy runs Lua, or Lua is enabled",
)
def lua_off_by_default(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyExtensionPolicy runs Lua, which has to be enabled from 1.9 on.

    ## Why it matters
    Lua is off unless the configuration of Envoy Gateway enables it. The policy is not accepted any
    more, and its routes answer 500.

    ## How to fix it
    Set `extensionApis.enableLua: true` in the configuration together with the upgrade (releases
    before 1.9 do not know the key), or do without Lua.
    """
    upgrade_of(snapshot)
    configs = snapshot.all(ENVOY_GATEWAY)
    if any(section(c.body, "extensionApis").get("enableLua") is True for c in configs):
        return
    joined = world(snapshot)
    for policy, used in joined.in_use(ENVOY_EXTENSION_POLICY):
        if not entries(policy.spec, "lua"):
            continue
        off = any(section(c.body, "extensionApis").get("disableLua") is True for c in configs)
        if off:
            continue
        yield change(
            snapshot,
            policy.at("spec", "lua"),
            "Lua is off by default: the policy is refused, its routes answer 500",
            evidence=tuple(f"route: {found.route.ref}" for found in used[:5]),
            today="Lua is on unless extensionApis.disableLua says otherwise",
            after="Lua is off unless extensionApis.enableLua is true",
            keep=(
                "set extensionApis.enableLua: true in envoy-gateway.yaml of ConfigMap "
                "envoy-gateway-config (Helm: config.envoyGateway.extensionApis.enableLua)",
            ),
            verify=f"EnvoyExtensionPolicy {policy.namespace}/{policy.name} is Accepted=True",
            possible="" if configs else "certain if the configuration does not set enableLua: true",
        )
