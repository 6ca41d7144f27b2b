"""EGU-1336 repair-changes-behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, GRPC_ROUTE, HTTP_ROUTE, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.headers import becomes_active
from egops.upgrade.quantity import seconds
from egops.upgrade.releases import EXT_AUTH, FIXES, notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Snapshot

HEADERS = FIXES[4]


@rule(
    code="EGU-1336",
    severity=Severity.ERROR,
    optional=(*ROUTES, ENVOY_PROXY, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 0, 0),
    link=notes_link((1, 3, 2)),
    ok="no object depends on a fault that the target release repairs",
)
def repair_changes_behaviour(snapshot: Snapshot) -> Iterator[Problem]:
    """A repair in the target release changes what an object does.

    ## Why it matters
    From 1.2.8 and 1.3.2 on a route whose header filter touches `Host` (or removes a name with `/`
    or `:`) is refused as a whole: requests get a 404. From 1.2.7 and 1.3.1 on `backendSettings` of
    external authorization count.

    ## How to fix it
    Rewrite the host with a URLRewrite filter, and look at the settings before the upgrade.
    """
    step = upgrade_of(snapshot)
    gained = [f for f in FIXES if f.is_in(step.to_version) and not f.is_in(step.from_version)]
    if HEADERS in gained:
        yield from _headers(snapshot)
    if EXT_AUTH in gained:
        yield from _ext_auth(snapshot)


def _headers(snapshot: Snapshot) -> Iterator[Problem]:
    for attachment in world(snapshot).routes(HTTP_ROUTE, GRPC_ROUTE):
        route = attachment.route
        found = becomes_active(route)
        if found is not None:
            path, name = found
            yield change(
                snapshot,
                route.at(*path),
                f"the route is refused for its header filter on {name!r}",
                today="the filter is passed to Envoy, the route answers",
                after="the route is Accepted=False, UnsupportedValue: requests get a 404",
                keep=("rewrite the host with a URLRewrite filter", f"or delete {name!r}"),
                verify="the route is Accepted=True",
            )


def _ext_auth(snapshot: Snapshot) -> Iterator[Problem]:
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        if joined.is_whole and not used:
            continue
        for kind in ("http", "grpc"):
            path = ("spec", "extAuth", kind, "backendSettings")
            settings = section(policy.body, *path)
            broken = _is_refused(settings)
            if not set(settings) - ({"retry"} if not broken else set()):
                continue
            yield change(
                snapshot,
                policy.at(*path),
                "the retry back-off is refused: the policy's routes answer 500"
                if broken
                else f"backendSettings of the {kind} authorization service take effect",
                evidence=(f"settings: {', '.join(sorted(settings))}",),
                today="they are ignored",
                after="the policy fails" if broken else "they shape the service's cluster",
                keep=("remove the settings, or check that they are what you want",),
                verify="the cluster of the service in /config_dump",
                severity=Severity.ERROR if broken else Severity.WARNING,
                fix_patch=patch(policy, path),
            )


def _is_refused(settings: Mapping[str, object]) -> bool:
    backoff = section(settings, "retry", "perRetry", "backOff")
    base, limit = seconds(backoff.get("baseInterval")), seconds(backoff.get("maxInterval"))
    return base == 0 or limit == 0 or (base is not None and limit is not None and base > limit)
