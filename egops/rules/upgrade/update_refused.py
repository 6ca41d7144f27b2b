"""EGU-0006 update-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.proxies import location_of, short_name, unanswered
from egops.refusals import refusals
from egops.rules import rule
from egops.snapshot import Probe
from egops.upgrade.compared import before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.snapshot import Snapshot


@rule(
    code="EGU-0006",
    severity=Severity.ERROR,
    probes=(Probe.CONFIG_DUMP,),
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN, Probe.PROXY_LOG),
    since="0.1",
    ok="no proxy refuses what the new release sends",
)
def update_refused(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy refuses configuration of the new release that it did not refuse before.

    ## Why it matters
    Envoy keeps serving the last good state, so all looks well until the pod restarts: then it comes
    up without that listener, cluster or route. Everything sent after it in the same update waits.

    ## How to fix it
    Envoy's own words say which field it does not take. An EnvoyPatchPolicy or an extension server
    that was written for the old release is the usual cause; `egops doctor` names it.
    """
    known = {
        (refusal.kind, refusal.name)
        for proxy in before(snapshot).proxies
        for refusal in refusals(proxy)
        if not refusal.is_over
    }
    for proxy in snapshot.proxies:
        for refusal in refusals(proxy):
            if refusal.is_over or (refusal.kind, refusal.name) in known:
                continue
            what = f"{refusal.kind} {refusal.name}".rstrip()
            now = "refuses" if refusal.current else "refused once"
            yield Problem(
                location_of(proxy, section=what),
                f"{short_name(proxy)} {now} the {what} of the new release",
                why=refusal.reason,
                evidence=tuple(filter(None, (refusal.evidence,))),
                severity=Severity.ERROR if refusal.current else Severity.WARNING,
                remedy=("egops doctor --only xds names the cause",),
            )
    yield from unanswered(snapshot, Probe.CONFIG_DUMP)
