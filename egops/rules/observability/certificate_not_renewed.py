"""EGD-652 certificate-not-renewed."""

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

DAYS = "envoy_server_days_until_first_cert_expiring"
FIRST = f"min by (namespace, pod) ({DAYS})"
NOW = f"{FIRST} < 30"
# what was renewed meanwhile has more days now than it had a week ago
STUCK = f"({NOW}) and on (namespace, pod) (min by (namespace, pod) ({DAYS} offset 7d) > {FIRST})"


@rule(
    code="EGD-652",
    severity=Severity.ERROR,
    optional=(GATEWAY, DEPLOYMENT),
    probes=(Probe.PROMETHEUS,),
    queries=(NOW, STUCK),
    since="0.1",
    ok="no proxy's first certificate has run below 30 days without being renewed",
)
def certificate_not_renewed(snapshot: Snapshot) -> Iterator[Problem]:
    """A certificate that a proxy uses comes to its end, and nobody has renewed it for a week.

    ## Why it matters
    The gauge falls by one a day until the certificate is renewed. One that fell all week below 30
    days belongs to nobody's automation, or the automation is stuck.

    ## How to fix it
    `egops doctor --only tls` names the certificate and who uses it. Renew it, then see why it was
    not renewed by itself.
    """
    week = {
        (text(row.labels, "namespace"), text(row.labels, "pod")) for row in rows(snapshot, STUCK)
    }
    for row in rows(snapshot, NOW):
        pod = text(row.labels, "pod")
        if (text(row.labels, "namespace"), pod) not in week:
            continue
        yield Problem(
            place(snapshot, row),
            f"the first certificate of proxy {pod or 'unknown'} ends in {row.value:.0f} days "
            "and was not renewed for a week",
            evidence=(f"{DAYS} = {row.value:.0f}",),
            remedy=("see which one it is: egops doctor --only tls",),
            severity=None if row.value < 7 else Severity.WARNING,
        )
