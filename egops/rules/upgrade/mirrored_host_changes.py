"""EGU-1604 mirrored-host-changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GRPC_ROUTE, HTTP_ROUTE, SERVICE, mirror_refs
from egops.rules import rule
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1604",
    severity=Severity.WARNING,
    optional=(*ROUTES, *KINDS),
    since="0.1",
    changed_in=(1, 6, 0),
    link=notes_link((1, 6, 0)),
    ok="no route mirrors requests",
)
def mirrored_host_changes(snapshot: Snapshot) -> Iterator[Problem]:
    """Mirrored requests keep their host: the suffix `-shadow` is gone.

    ## Why it matters
    A mirror target that tells copies by the Host header, or routes by it, takes them for something
    else.

    ## How to fix it
    Make the target answer to the plain host.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        mirrors = list(mirror_refs(attachment.route))
        # the last mirror of an HTTPRoute decides
        judged = mirrors[-1:] if attachment.route.kind == HTTP_ROUTE else mirrors
        faults = [fault_of(joined, ref, attachment.route) for ref in judged]
        broken = [f for f in faults if isinstance(f, Fault)] if snapshot.all(SERVICE) else []
        if any(not fault.possible for fault in broken):
            continue  # nothing is mirrored
        for ref in mirrors:
            yield change(
                snapshot,
                ref.entry.at(),
                f"{ref} gets mirrored requests without -shadow behind the host",
                today="the host of a mirrored request ends with -shadow",
                after="it is the host of the request",
                keep=("make the target answer to the plain host",),
                verify="the log of the mirror target",
                possible="certain if the target looks at the host",
                severity=Severity.INFO if broken else None,
            )
            break
