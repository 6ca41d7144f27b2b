"""EGD-651 control-plane-panicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, GATEWAY
from egops.history import place, rows
from egops.rules import rule
from egops.snapshot import Probe, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PANICS = "watchable_panics_recovered_total"
# increase() misses the first panic: the counter is born with the value 1
QUERY = (
    f"(sum by (namespace, runner, message) (increase({PANICS}[24h])) > 0.5) or "
    f"(sum by (namespace, runner, message) ({PANICS} unless {PANICS} offset 24h) > 0)"
)


@rule(
    code="EGD-651",
    severity=Severity.WARNING,
    optional=(GATEWAY, DEPLOYMENT),
    probes=(Probe.PROMETHEUS,),
    queries=(QUERY,),
    since="0.1",
    ok="Envoy Gateway has not panicked in the last 24 hours",
)
def control_plane_panicked(snapshot: Snapshot) -> Iterator[Problem]:
    """Envoy Gateway recovered from a panic within the last 24 hours.

    ## Why it matters
    The update that it was handling is lost and the old configuration stays, while pods are Ready
    and Gateways Programmed. A pod that restarted since no longer shows the counter; Prometheus
    remembers.

    ## How to fix it
    The log of the time names the object (`observed a panic`). Compare what is accepted with what
    Envoy has (`egops doctor --only EGD-141,EGD-446`), repair or remove the object, and upgrade.
    """
    for row in rows(snapshot, QUERY):
        runner, message = text(row.labels, "runner"), text(row.labels, "message")
        times = max(1, round(row.value))
        yield Problem(
            place(snapshot, row),
            f"runner {runner or 'unknown'} panicked {times} time{'s' * (times > 1)} in 24 hours",
            evidence=(f"{PANICS}{{runner={runner!r}, message={message!r}}}",),
            remedy=("look for `observed a panic` in the log of the time: it names the object",),
        )
