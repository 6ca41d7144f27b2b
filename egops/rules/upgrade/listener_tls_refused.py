"""EGU-1104 listener-tls-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import GATEWAY
from egops.rules import rule
from egops.snapshot import SourceType, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import CORE, Listener, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1104",
    severity=Severity.ERROR,
    reads=(GATEWAY,),
    optional=(*CORE,),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="every HTTPS listener terminates TLS and names a certificate",
)
def listener_tls_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """An HTTPS listener passes TLS through, or terminates it without a certificate.

    ## Why it matters
    From Gateway API 1.1 on the CRD refuses both: an apply fails. What is stored stays as it is
    until the next write.

    ## How to fix it
    Use a listener of protocol TLS to pass TLS through; name a certificate to terminate it.
    """
    upgrade_of(snapshot)
    is_live = snapshot.source.type is SourceType.CLUSTER
    for listener in world(snapshot).listeners:
        found = _fault(listener)
        if found is None:
            continue
        path, message, step = found
        yield change(
            snapshot,
            listener.at(*path),
            message,
            today="the CRD takes it",
            after="an apply is refused; what is stored stays until the next write",
            keep=(step,),
            verify="kubectl apply --dry-run=server -f FILE",
            severity=Severity.WARNING if is_live else Severity.ERROR,
        )


def _fault(listener: Listener) -> tuple[tuple[str, ...], str, str] | None:
    """Return where, what and what to do, if the CRD refuses the listener's TLS part."""
    tls = listener.body.get("tls")
    if not isinstance(tls, dict):
        return None
    if listener.protocol == "HTTPS" and tls.get("mode") == "Passthrough":
        step = "set protocol TLS, or terminate with certificateRefs"
        return ("tls", "mode"), "an HTTPS listener can't pass TLS through", step
    if listener.terminates_tls and not tls.get("certificateRefs") and not section(tls, "options"):
        return (
            ("tls",),
            "TLS is terminated without a certificate",
            "name a certificate",
        )
    return None
