"""EGU-1109 fault-filter-runs-first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TRAFFIC_POLICY, DAEMON_SET, DEPLOYMENT, SERVICE, is_proxy
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1109",
    severity=Severity.INFO,
    optional=(*ROUTES, BACKEND_TRAFFIC_POLICY, DEPLOYMENT, DAEMON_SET, SERVICE),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="no policy injects faults, nobody edited what Envoy Gateway made",
)
def fault_filter_runs_first(snapshot: Snapshot) -> Iterator[Problem]:
    """Injected faults come before all other filters, and edits of the proxies by hand are undone.

    ## Why it matters
    The fault filter is the first of the chain: requests that are aborted no longer meet
    authentication or rate limits. Envoy Gateway writes Deployments and Services with server-side
    apply and takes back the fields that it owns.

    ## How to fix it
    Set `filterOrder` in the EnvoyProxy; put edits of the proxies into patches of the EnvoyProxy.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        if section(policy.spec, "faultInjection") and (used or not joined.is_whole):
            yield change(
                snapshot,
                policy.at("spec", "faultInjection"),
                "faults are injected before every other filter",
                today="the fault filter stands behind authentication and CORS",
                after="it is the first filter: aborted requests meet no other",
                keep=("set filterOrder in the EnvoyProxy if the order matters",),
                verify="http_filters of the listener in /config_dump",
                possible="certain if another filter of the routes matters to aborted requests",
            )
    for kind in (DEPLOYMENT, DAEMON_SET, SERVICE):
        for found in snapshot.all(kind):
            hands = sorted(set(_hands(found.metadata)))
            if is_proxy(found) and hands:
                yield change(
                    snapshot,
                    found.at("metadata"),
                    f"fields set by {', '.join(hands)} are taken back",
                    today="Envoy Gateway replaces the object and may keep them",
                    after="server-side apply with force: what it owns is written at each reconcile",
                    keep=("put the edits into a patch of the EnvoyProxy",),
                    verify=f"kubectl get {kind.plural} {found.name} -n {found.namespace} -o yaml",
                    possible="certain if the edited fields are ones that Envoy Gateway sets",
                )


def _hands(metadata: object) -> Iterator[str]:
    """Yield the managers of fields that are people's tools."""
    for _, entry in items(metadata, "managedFields"):
        manager = text(entry, "manager")
        if manager.startswith(("kubectl", "helm")) and not text(entry, "subresource"):
            yield manager
