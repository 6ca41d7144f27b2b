"""EGU-1336 repair-changes-behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.snapshot import section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.headers import is_refused_by_envoy
from egops.upgrade.quantity import seconds
from egops.upgrade.releases import EXT_AUTH, HEADERS, notes_link
from egops.upgrade.repairs import KINDS, authorization_settings, gained, odd_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1336",
    severity=Severity.ERROR,
    optional=KINDS,
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
    repairs = gained(upgrade_of(snapshot))
    if HEADERS in repairs:
        yield from _headers(snapshot)
    if EXT_AUTH in repairs:
        yield from _ext_auth(snapshot)


def _headers(snapshot: Snapshot) -> Iterator[Problem]:
    for route, path, name in odd_headers(snapshot):
        yield change(
            snapshot,
            route.at(*path),
            f"the route is refused for its header filter on {name!r}",
            today="Envoy refuses the routes of the whole listener, the last good state stays"
            if is_refused_by_envoy(name)
            else "the filter is passed to Envoy, the route answers",
            after="the route is Accepted=False, UnsupportedValue: requests get a 404",
            keep=("rewrite the host with a URLRewrite filter", f"or delete {name!r}"),
            verify="the route is Accepted=True",
        )


def _ext_auth(snapshot: Snapshot) -> Iterator[Problem]:
    for found in authorization_settings(snapshot):
        broken = _is_refused(found.values)
        if not set(found.values) - ({"retry"} if not broken else set()):
            continue
        yield change(
            snapshot,
            found.policy.at(*found.path),
            "the retry back-off is refused: the policy's routes answer 500"
            if broken
            else f"backendSettings of the {found.kind} authorization service take effect",
            evidence=(f"settings: {', '.join(sorted(found.values))}",),
            today="they are ignored",
            after="the policy fails" if broken else "they shape the service's cluster",
            keep=("remove the settings, or check that they are what you want",),
            verify="the cluster of the service in /config_dump",
            severity=Severity.ERROR if broken else Severity.WARNING,
            fix_patch=patch(found.policy, found.path),
        )


def _is_refused(settings: Mapping[str, object]) -> bool:
    backoff = section(settings, "retry", "perRetry", "backOff")
    base, limit = seconds(backoff.get("baseInterval")), seconds(backoff.get("maxInterval"))
    return base == 0 or limit == 0 or (base is not None and limit is not None and base > limit)
