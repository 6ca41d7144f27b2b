"""EGU-1322 dns-family-changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, SERVICE, backend_refs
from egops.rules import rule
from egops.snapshot import entries, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.dnsfamily import prefers_ipv4
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1322",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND, SERVICE),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no cluster resolves names another way",
)
def dns_family_changes(snapshot: Snapshot) -> Iterator[Problem]:
    """The address family that clusters ask DNS for changes.

    ## Why it matters
    Up to 1.2.1 names were resolved to IPv4 only, since 1.2.2 IPv4 is preferred and IPv6 taken if
    there is nothing else. From 1.3 on a cluster follows the `ipFamilies` of its Service. Names that
    have IPv6 addresses can behave another way.

    ## How to fix it
    Make sure that both families of a name are served, or publish one only.
    """
    joined = world(snapshot)
    if upgrade_of(snapshot).from_version < (1, 2, 2):
        yield from prefers_ipv4(snapshot)
    yield from _families(joined)


def _families(joined: World) -> Iterator[Problem]:
    told = set()
    for attachment in joined.routes():
        for ref in backend_refs(attachment.route):
            service = joined.snapshot.get(ref.ref) if ref.ref else None
            if service is None or service.kind != SERVICE or service.ref in told:
                continue
            families = entries(service.spec, "ipFamilies")
            policy = text(service.spec, "ipFamilyPolicy")
            if not families and policy != "RequireDualStack":
                continue
            told.add(service.ref)
            yield change(
                joined.snapshot,
                service.at("spec", "ipFamilies" if families else "ipFamilyPolicy"),
                "the dns_lookup_family of its clusters follows the Service",
                today="V4_PREFERRED for every cluster",
                after=f"it follows {', '.join(map(str, families)) or policy}; endpoints of a "
                "Service are addresses, so nothing is looked up",
                verify="the route answers",
                possible="certain if one rule has a Backend with a name beside the Service",
            )
