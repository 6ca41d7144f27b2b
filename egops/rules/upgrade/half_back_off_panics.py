"""EGU-1628 half-back-off-panics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ENVOY_EXTENSION_POLICY, GRPC_ROUTE, HTTP_ROUTE, SECURITY_POLICY
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.backends import KINDS, serves
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.quantity import seconds
from egops.upgrade.releases import notes_link
from egops.upgrade.settings import value_at
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot

BOTH = ("baseInterval", "maxInterval")


@rule(
    code="EGU-1628",
    severity=Severity.ERROR,
    optional=(*ROUTES, *KINDS, SECURITY_POLICY, ENVOY_EXTENSION_POLICY),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="every back-off of an authorization or processing service has a base and a limit",
)
def half_back_off_panics(snapshot: Snapshot) -> Iterator[Problem]:
    """A back-off of external authorization or processing lacks its base or its limit.

    ## Why it matters
    Up to 1.5 the retries of these services had no effect. From 1.6 on Envoy Gateway panics over a
    back-off with only one of `baseInterval` and `maxInterval` and withholds the whole Gateway: new
    proxies get nothing, the others keep what they had.

    ## How to fix it
    Give both, or remove `perRetry.backOff`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for kind, places in ((SECURITY_POLICY, _security), (ENVOY_EXTENSION_POLICY, _extension)):
        for policy, used in joined.in_use(kind):
            served = any(
                found.route.kind in (HTTP_ROUTE, GRPC_ROUTE) and serves(joined, found.route)
                for found in used
            )
            if joined.is_whole and not served:
                continue
            for place in places(policy):
                # one of 0s is refused before, in every release
                given = [key for key in BOTH if seconds(section(value_at(policy, place)).get(key))]
                if len(given) == 1:
                    yield change(
                        snapshot,
                        policy.at(*place),
                        f"Envoy Gateway panics over a back-off with {given[0]} alone",
                        today="retries of the service have no effect",
                        after="the update of the whole Gateway is withheld",
                        keep=("give both intervals, or remove perRetry.backOff",),
                        verify="watchable_panics_recovered_total does not rise",
                        fix_patch=patch(policy, place),
                    )


def _security(_: Resource) -> Iterator[Path]:
    for kind in ("http", "grpc"):
        yield ("spec", "extAuth", kind, "backendSettings", "retry", "perRetry", "backOff")


def _extension(policy: Resource) -> Iterator[Path]:
    for index, _ in items(policy.spec, "extProc"):
        yield ("spec", "extProc", index, "backendSettings", "retry", "perRetry", "backOff")
