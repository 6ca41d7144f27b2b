"""EGD-503 backend-connection-failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import ENDPOINT_SLICE, ROUTE_KINDS
from egops.rules import rule
from egops.snapshot import Probe, entries, items
from egops.traffic import FEW, by_route, failures, hosts, problem, told, unread_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Problem, Unjudged
    from egops.snapshot import Snapshot
    from egops.traffic import Group


@rule(
    code="EGD-503",
    severity=Severity.WARNING,
    optional=(*ROUTE_KINDS, ENDPOINT_SLICE),
    probes=(Probe.PROXY_LOG,),
    since="0.1",
    ok="proxies reach the backends of all requests",
)
def backend_connection_failing(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Requests get 503 because the connection to the backend fails.

    ## Why it matters
    Envoy has an endpoint and can't use it: nobody listens there, a NetworkPolicy drops the packets,
    or the pod is gone and Envoy does not know.

    ## How to fix it
    Refused: compare the Service's targetPort with the port that the application listens on. Timed
    out: look for a NetworkPolicy or a node that is gone. An address that is in no EndpointSlice is
    stale: EGD-309.
    """
    for group in failures(snapshot, _fails, by_route):
        yield _problem(group, snapshot)
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    tls = "TLS_error" in f"{entry.failure_reason} {entry.details}"
    return entry.code == 503 and entry.has_flag("UF") and not tls


def _problem(group: Group, snapshot: Snapshot) -> Problem:
    why, step = _cause(group)
    stale = sorted(_unknown(group, snapshot))
    if stale:
        why = f"{', '.join(stale[:3])} is in no EndpointSlice: the pod is gone"
        step = "see why the endpoints of the proxies are behind: EGD-309"
    return problem(
        group,
        snapshot,
        f"{told(group)} got 503: {why or 'the connection to the backend failed'}",
        impact="these requests fail unless a retry policy finds another endpoint",
        evidence=tuple(f"to {host}" for host in hosts(group)),
        why=group.sample.failure_reason or group.sample.details,
        remedy=(step,),
        severity=Severity.INFO if len(group.failing) < FEW else None,
    )


def _cause(group: Group) -> tuple[str, str]:
    told = " ".join(f"{e.details} {e.failure_reason}" for e in group.failing).lower()
    if "refused" in told:
        step = "compare the Service's targetPort with the port the application listens on"
        return "the backend refuses the connection", step
    if "timeout" in told:
        step = "look for a NetworkPolicy, a firewall or a node that is gone"
        return "the connection to the backend times out", step
    if "unreachable" in told or "no_route" in told:
        return "the backend's address is unreachable", "look at the network between the nodes"
    return "", "look at the pods behind these addresses"


def _unknown(group: Group, snapshot: Snapshot) -> set[str]:
    """Return the addresses of failing requests that no EndpointSlice has."""
    if not snapshot.knows(ENDPOINT_SLICE):
        return set()
    known = {
        str(address)
        for entry in snapshot.all(ENDPOINT_SLICE)
        for _, endpoint in items(entry.body, "endpoints")
        for address in entries(endpoint, "addresses")
    }
    tried = {entry.upstream_host.rpartition(":")[0].strip("[]") for entry in group.failing}
    pods = {address for address in tried if address and _is_of_a_route(group)}
    return pods - known if known else set()


def _is_of_a_route(group: Group) -> bool:
    """Return whether the endpoints come from Services: those of FQDN backends are in no slice."""
    return group.sample.cluster.startswith(("httproute/", "grpcroute/"))
