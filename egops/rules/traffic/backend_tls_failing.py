"""EGD-504 backend-tls-failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Severity
from egops.gatewayapi import BACKEND_TLS_POLICY, ROUTE_KINDS
from egops.rules import rule
from egops.snapshot import Probe, items, text
from egops.traffic import backends_of, by_route, failures, hosts, problem, told, unread_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.accesslog import Entry
    from egops.finding import Problem, Unjudged
    from egops.snapshot import Location, Snapshot
    from egops.traffic import Group


@rule(
    code="EGD-504",
    severity=Severity.ERROR,
    optional=(*ROUTE_KINDS, BACKEND_TLS_POLICY),
    probes=(Probe.PROXY_LOG,),
    since="0.1",
    ok="TLS to the backends of all requests works",
)
def backend_tls_failing(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """Requests get 503 because TLS with the backend fails.

    ## Why it matters
    Every request to that backend fails.

    ## How to fix it
    `WRONG_VERSION_NUMBER`: the backend speaks plain HTTP on this port; remove the BackendTLSPolicy
    or correct the port (EGD-306). `CERTIFICATE_VERIFY_FAILED`: name or CA do not fit (EGD-415).
    A reset handshake: the backend wants a client certificate, or another TLS version.
    """
    for group in failures(snapshot, _fails, by_route):
        reason = group.sample.failure_reason or group.sample.details
        why, step = _cause(reason)
        yield problem(
            group,
            snapshot,
            f"{told(group)} got 503: {why}",
            impact="requests to this backend fail",
            evidence=tuple(f"to {host}" for host in hosts(group)),
            why=reason,
            remedy=(step,),
            related=tuple(_policies(group, snapshot)),
        )
    yield from unread_logs(snapshot)


def _fails(entry: Entry) -> bool:
    told = f"{entry.failure_reason} {entry.details}"
    return entry.code == 503 and entry.has_flag("UF") and "TLS_error" in told


def _cause(reason: str) -> tuple[str, str]:
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        step = "remove the BackendTLSPolicy of this port, or point the route to the TLS port"
        return "the backend does not speak TLS on this port", step
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        step = "match validation.hostname and CA to the backend's certificate (EGD-415)"
        return "the backend's certificate is refused", step
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason:
        step = "give the proxies a client certificate (EnvoyProxy backendTLS)"
        return "the backend wants a client certificate", step
    return "TLS with the backend fails", "compare TLS versions, SNI and certificates of both sides"


def _policies(group: Group, snapshot: Snapshot) -> Iterator[Location]:
    names = {(ref.namespace, ref.name) for ref in backends_of(group.key, snapshot)}
    for policy in snapshot.all(BACKEND_TLS_POLICY):
        for index, target in items(policy.spec, "targetRefs"):
            if (policy.namespace, text(target, "name")) in names:
                yield policy.at("spec", "targetRefs", index)
