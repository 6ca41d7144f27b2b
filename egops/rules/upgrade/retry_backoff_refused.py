"""EGU-1318 retry-backoff-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    ENVOY_EXTENSION_POLICY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    SECURITY_POLICY,
)
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.backends import KINDS, serves
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.quantity import seconds
from egops.upgrade.releases import EXT_AUTH, notes_link
from egops.upgrade.settings import value_at
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot


@rule(
    code="EGU-1318",
    severity=Severity.ERROR,
    optional=(*ROUTES, *KINDS, BACKEND_TRAFFIC_POLICY, SECURITY_POLICY,
              ENVOY_EXTENSION_POLICY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="every retry waits longer than nothing, and at most as long as its limit",
)  # fmt: skip
def retry_backoff_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A back-off of 0s, or a limit below its base, was passed on and now fails the policy.

    ## Why it matters
    From 1.3 on the policy is Accepted=False and its routes answer 500. Up to 1.2 Envoy Gateway
    passed the values on, and Envoy refused the whole listener's routes, which stayed at their last
    good state: proxies that restart have none.

    ## How to fix it
    Drop the values or correct them: `0 < baseInterval <= maxInterval`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        routes = sum(
            found.route.kind in (HTTP_ROUTE, GRPC_ROUTE) and serves(joined, found.route)
            for found in used
        )
        if joined.is_whole and not routes:
            continue
        yield from _judge(snapshot, policy, ("spec", "retry"), f"{routes} route(s) answer 500")
    step = upgrade_of(snapshot)
    # settings that are lost as a whole are EGU-1316's, settings that start to count EGU-1336's
    ignored = not (EXT_AUTH.is_in(step.to_version) and EXT_AUTH.is_in(step.from_version))
    for kind, places in ((SECURITY_POLICY, _security), (ENVOY_EXTENSION_POLICY, _extension)):
        for policy, used in joined.in_use(kind):
            routes = sum(
                found.route.kind in (HTTP_ROUTE, GRPC_ROUTE) and serves(joined, found.route)
                for found in used
            )
            if joined.is_whole and not routes:
                continue
            for path in places(policy):
                if ignored and "extAuth" in path:
                    continue
                yield from _judge(snapshot, policy, path, f"{routes} route(s) answer 500")


def _security(_: Resource) -> Iterator[Path]:
    for path in (("extAuth", "http"), ("extAuth", "grpc"), ("oidc", "provider")):
        yield ("spec", *path, "backendSettings", "retry")


def _extension(policy: Resource) -> Iterator[Path]:
    for index, _ in items(policy.spec, "extProc"):
        yield ("spec", "extProc", index, "backendSettings", "retry")


def _judge(snapshot: Snapshot, policy: Resource, path: Path, after: str) -> Iterator[Problem]:
    place = (*path, "perRetry", "backOff")
    backoff = section(value_at(policy, place))
    base, limit = (backoff.get(key) for key in ("baseInterval", "maxInterval"))
    base_time, limit_time = seconds(base), seconds(limit)
    if base_time == 0:
        key, reason = "baseInterval", "baseInterval 0s is refused"
    elif limit_time == 0:
        key, reason = "maxInterval", "maxInterval 0s is refused"
    elif base_time is not None and limit_time is not None and base_time > limit_time:
        key, reason = "maxInterval", f"maxInterval {limit} is below baseInterval {base}"
    else:
        return
    yield change(
        snapshot,
        policy.at(*place, key),
        f"the policy fails: {reason}",
        today="Envoy refuses the routes of the whole listener, the last good state stays",
        after=f"the policy is Accepted=False, {after}",
        keep=("remove perRetry.backOff, or set 0 < baseInterval <= maxInterval",),
        verify="the policy is Accepted=True",
        fix_patch=patch(policy, place),
    )
