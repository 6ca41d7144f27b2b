"""EGU-1316 target-lacks-fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.headers import is_refused_by_envoy
from egops.upgrade.releases import EXT_AUTH, HEADERS, RELEASES, dotted, last_patch, notes_link
from egops.upgrade.repairs import KINDS, authorization_settings, lost, odd_headers
from egops.upgrade.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot, Upgrade


@rule(
    code="EGU-1316",
    severity=Severity.ERROR,
    optional=KINDS,
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
    repairs = lost(step)
    if repairs or (source and target and source.day > target.day):
        yield from _versions(snapshot, step)
    if EXT_AUTH in repairs:
        yield from _ext_auth(snapshot)
    if HEADERS in repairs:
        yield from _headers(snapshot)


def _versions(snapshot: Snapshot, step: Upgrade) -> Iterator[Problem]:
    joined = world(snapshot)
    anchor = joined.anchor()
    if anchor is None:
        return
    source, target = RELEASES[step.from_version], RELEASES[step.to_version]
    repairs = lost(step)
    severity = Severity.ERROR if any(fix.security for fix in repairs) else Severity.WARNING
    if joined.install is None:  # objects alone: the choice of a release is told, not alarmed about
        severity = Severity.INFO
    newest = dotted(last_patch(step.to_version))
    yield change(
        snapshot,
        anchor,
        f"{dotted(step.to_version)} ({target.day}) is older than {dotted(step.from_version)} "
        f"({source.day}) and lacks {len(repairs) or 'some'} of its fixes",
        evidence=tuple(f"lost: {fix.what}" for fix in repairs),
        today="the fixes are installed",
        after="they are not, until a later patch",
        keep=(f"go to {newest} instead",),
        verify="the image of Deployment envoy-gateway has the tag you chose",
        severity=severity,
    )


def _ext_auth(snapshot: Snapshot) -> Iterator[Problem]:
    for found in authorization_settings(snapshot):
        settings = set(found.values) - {"retry"}  # which has no effect in external authorization
        if settings:
            yield change(
                snapshot,
                found.policy.at(*found.path),
                f"backendSettings of the {found.kind} authorization service are lost",
                evidence=(f"settings: {', '.join(sorted(settings))}",),
                today="they shape the cluster of the authorization service",
                after="they are ignored until 1.3.1",
                keep=("go to 1.3.1 or later",),
                verify="the cluster of the service in /config_dump has the settings",
                severity=Severity.WARNING,
            )


def _headers(snapshot: Snapshot) -> Iterator[Problem]:
    for route, path, name in odd_headers(snapshot):
        freezes = is_refused_by_envoy(name)
        yield change(
            snapshot,
            route.at(*path),
            f"the header filter on {name!r} makes Envoy refuse the routes of the whole listener"
            if freezes
            else f"the route with a header filter on {name!r} becomes active again",
            today="the route is Accepted=False, UnsupportedValue, and not programmed",
            after="Envoy Gateway accepts the filter, Envoy does not: new proxies have no routes "
            "and answer 404 to everything"
            if freezes
            else "the filter is accepted and sent to Envoy, the route answers",
            keep=("delete the header from the filter, or the route if it is not meant to work",),
            verify="the proxies reject nothing: egops doctor --only EGD-441"
            if freezes
            else "the route is Accepted as you expect",
            severity=Severity.ERROR if freezes else Severity.WARNING,
        )
