"""EGU-1707 lua-sandboxed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import CONFIG_MAP, ENVOY_EXTENSION_POLICY
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

OUTSIDE = re.compile(r"\b(io\.\w+|os\.\w+|debug\.\w+|package\.\w+|require|loadfile|dofile)\b")


@rule(
    code="EGU-1707",
    severity=Severity.WARNING,
    reads=(ENVOY_EXTENSION_POLICY,),
    optional=(*ROUTES, CONFIG_MAP),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no Lua uses what the sandbox takes away",
)
def lua_sandboxed(snapshot: Snapshot) -> Iterator[Problem]:
    """A Lua script uses files, processes or modules, which the sandbox of 1.7 takes away.

    ## Why it matters
    Envoy Gateway runs each script to validate it and refuses what reaches outside. The policy is
    Accepted=False and its routes answer 500.

    ## How to fix it
    Do without it, or loosen `luaValidation` of the EnvoyProxy if you trust everybody who writes
    policies.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(ENVOY_EXTENSION_POLICY):
        if joined.is_whole and not used:
            continue
        for index, entry in items(policy.spec, "lua"):
            where, script = _script(snapshot, policy, entry)
            found = OUTSIDE.search(script)
            if found:
                yield change(
                    snapshot,
                    policy.at("spec", "lua", index, where),
                    f"the script uses {found.group()}, which the sandbox takes away",
                    today="the script runs as it is",
                    after="validation may refuse it: the routes of the policy answer 500",
                    keep=("write the script without it",),
                    verify="the EnvoyExtensionPolicy is Accepted=True",
                    possible="certain if luaValidation is not loosened and the call is reached",
                )


def _script(snapshot: Snapshot, policy: Resource, entry: object) -> tuple[str, str]:
    """Return where the policy has its script, and the script: inline or in a ConfigMap."""
    name = text(entry, "valueRef", "name")
    if not name:
        return "inline", text(entry, "inline")
    data = section(getattr(snapshot.find(CONFIG_MAP, policy.namespace, name), "body", {}), "data")
    return "valueRef", str(data.get("lua") or next(iter(data.values()), ""))
