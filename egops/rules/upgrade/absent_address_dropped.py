"""EGU-1502 absent-address-dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, BACKEND_TRAFFIC_POLICY, SERVICE, SERVICE_IMPORT, backend_refs
from egops.rules import rule
from egops.snapshot import items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

PATH = ("spec", "healthCheck", "active")


@rule(
    code="EGU-1502",
    severity=Severity.INFO,
    reads=(BACKEND_TRAFFIC_POLICY,),
    optional=(
        *ROUTES,
        BACKEND,
        SERVICE,
        SERVICE_IMPORT,
    ),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="no policy checks the health of backends with names actively",
)
def absent_address_dropped(snapshot: Snapshot) -> Iterator[Problem]:
    """Addresses that leave DNS are dropped although their health checks succeed.

    ## Why it matters
    An address that passed its checks was kept until the checks failed. It is now removed when DNS
    no longer gives it: names that give changing answers make the set of endpoints change.

    ## How to fix it
    Nothing, unless DNS gives only some of the addresses at a time.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        if not section(policy.spec, *PATH[1:]):
            continue
        refs = [ref.ref for found in used for ref in backend_refs(found.route) if ref.ref]
        if any(_has_names(snapshot.get(ref)) for ref in refs):
            yield change(
                snapshot,
                policy.at(*PATH),
                "addresses that DNS no longer gives are dropped at once",
                today="they stay while their active health checks succeed",
                after="they are dropped with the next answer of DNS",
                verify="membership_total of the clusters",
            )


def _has_names(backend: Resource | None) -> bool:
    return backend is not None and any(
        section(entry, "fqdn") for _, entry in items(backend.spec, "endpoints")
    )
