"""EGU-1524 override-interpolated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, CONFIG_MAP
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1524",
    severity=Severity.WARNING,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY, CONFIG_MAP),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no overridden response holds a percent sign",
)
def override_interpolated(snapshot: Snapshot) -> Iterator[Problem]:
    """The body of an overridden response is a format: `%…%` is replaced.

    ## Why it matters
    From 1.5 on Envoy's command operators in the body are replaced by their values, and a lone
    `%` makes Envoy refuse the configuration.

    ## How to fix it
    Write `%%` for a percent sign.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        if joined.is_whole and not used:
            continue
        for index, override in items(policy.spec, "responseOverride"):
            body = section(override, "response", "body")
            ref = section(body, "valueRef")
            held = snapshot.find(CONFIG_MAP, policy.namespace, text(ref, "name")) if ref else None
            values = section(held.body, "data").values() if held is not None else ()
            if any("%" in str(value) for value in (text(body, "inline"), *values)):
                yield change(
                    snapshot,
                    policy.at("spec", "responseOverride", index, "response", "body"),
                    "percent signs in the body are read as operators",
                    today="the body is sent as it stands",
                    after="%OPERATOR% is replaced by its value, a lone % is an error",
                    keep=("write %% for a percent sign",),
                    verify="the overridden response has the text you expect",
                )
