"""EGU-1713 external-name-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import SERVICE, backend_refs
from egops.rules import rule
from egops.snapshot import text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1713",
    severity=Severity.ERROR,
    optional=(
        *ROUTES,
        SERVICE,
    ),
    since="0.1",
    changed_in=((1, 7, 5), (1, 8, 2)),
    link=notes_link((1, 7, 5)),
    ok="no route sends to a Service of type ExternalName",
)
def external_name_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A route sends to a Service of type ExternalName, which is refused from now on.

    ## Why it matters
    Such a backend is invalid: requests that would go to it get 500. It let whoever may write a
    Service reach hosts that the proxy can reach.

    ## How to fix it
    Make a `Backend` with the name as `fqdn` and let the route refer to it.
    """
    upgrade_of(snapshot)
    for attachment in world(snapshot).routes():
        for ref in backend_refs(attachment.route):
            service = snapshot.get(ref.ref) if ref.ref else None
            if service is None or service.kind != SERVICE:
                continue
            if text(service.spec, "type") == "ExternalName":
                yield change(
                    snapshot,
                    ref.entry.at(),
                    f"Service {service.namespace}/{service.name} is an ExternalName: refused",
                    today="its name is resolved and connected to",
                    after="ResolvedRefs=False, requests to it get 500",
                    keep=(f"make a Backend with {text(service.spec, 'externalName')} as fqdn",),
                    verify="the route is ResolvedRefs=True",
                    related=(service.at("spec", "type"),),
                )
