"""EGU-1316 target-lacks-fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_PROXY, GRPC_ROUTE, HTTP_ROUTE, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.headers import becomes_active
from egops.upgrade.releases import EXT_AUTH, FIXES, RELEASES, dotted, last_patch, notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot, Upgrade

HEADERS = FIXES[4]


@rule(
    code="EGU-1316",
    severity=Severity.ERROR,
    optional=(*ROUTES, ENVOY_PROXY, SECURITY_POLICY),
    since="0.1",
    changed_in=(1, 0, 0),
    link=notes_link((1, 2, 8)),
    ok="the target release is newer than the installed patch",
)
def target_lacks_fixes(snapshot: Snapshot) -> Iterator[Problem]:
    """The target release came before the installed patch: fixes that are installed get lost.

    ## Why it matters
    Patches of the older minor go on after a new minor is out. The `.0` of the new one lacks what
    was repaired since, security fixes among them.

    ## How to fix it
    Choose the newest patch of the target's minor.
    """
    step = upgrade_of(snapshot)
    source, target = RELEASES.get(step.from_version), RELEASES.get(step.to_version)
    lost = [f for f in FIXES if f.is_in(step.from_version) and not f.is_in(step.to_version)]
    if lost or (source and target and source.day > target.day):
        yield from _versions(snapshot, step)
    if EXT_AUTH in lost:
        yield from _ext_auth(snapshot)
    if HEADERS in lost:
        yield from _headers(snapshot)


def _versions(snapshot: Snapshot, step: Upgrade) -> Iterator[Problem]:
    joined = world(snapshot)
    anchor = joined.anchor()
    if anchor is None:
        return
    source, target = RELEASES[step.from_version], RELEASES[step.to_version]
    lost = [f for f in FIXES if f.is_in(step.from_version) and not f.is_in(step.to_version)]
    severity = Severity.ERROR if any(fix.security for fix in lost) else Severity.WARNING
    if joined.install is None:  # objects alone: the choice of a release is told, not alarmed about
        severity = Severity.INFO
    newest = dotted(last_patch(step.to_version))
    yield change(
        snapshot,
        anchor,
        f"{dotted(step.to_version)} ({target.day}) is older than {dotted(step.from_version)} "
        f"({source.day}) and lacks {len(lost) or 'some'} of its fixes",
        evidence=tuple(f"lost: {fix.what}" for fix in lost),
        today="the fixes are installed",
        after="they are not, until a later patch",
        keep=(f"go to {newest} instead",),
        verify="the image of Deployment envoy-gateway has the tag you chose",
        severity=severity,
    )


def _ext_auth(snapshot: Snapshot) -> Iterator[Problem]:
    joined = world(snapshot)
    for policy, used in joined.in_use(SECURITY_POLICY):
        if joined.is_whole and not used:
            continue
        for kind in ("http", "grpc"):
            settings = set(section(policy.spec, "extAuth", kind, "backendSettings")) - {"retry"}
            if settings:  # retry has no effect in external authorization
                yield change(
                    snapshot,
                    policy.at("spec", "extAuth", kind, "backendSettings"),
                    f"backendSettings of the {kind} authorization service are lost",
                    evidence=(f"settings: {', '.join(sorted(settings))}",),
                    today="they shape the cluster of the authorization service",
                    after="they are ignored until 1.3.1",
                    keep=("go to 1.3.1 or later",),
                    verify="the cluster of the service in /config_dump has the settings",
                    severity=Severity.WARNING,
                )


def _headers(snapshot: Snapshot) -> Iterator[Problem]:
    for attachment in world(snapshot).routes(HTTP_ROUTE, GRPC_ROUTE):
        route = attachment.route
        found = becomes_active(route)
        if found is not None:
            path, name = found
            yield change(
                snapshot,
                route.at(*path),
                f"the route with a header filter on {name!r} becomes active again",
                today="the route is Accepted=False, UnsupportedValue, and not programmed",
                after="the filter is accepted and sent to Envoy, the route answers",
                keep=(
                    "delete the header from the filter, or the route if it is not meant to work",
                ),
                verify="the route is Accepted as you expect",
                severity=Severity.WARNING,
            )
