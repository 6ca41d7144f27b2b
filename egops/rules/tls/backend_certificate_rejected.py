"""EGD-415 backend-certificate-rejected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egops.accesslog import recent
from egops.finding import Confidence, Problem, Severity
from egops.gatewayapi import BACKEND, BACKEND_TLS_POLICY, ROUTE_KINDS, SECURITY_POLICY
from egops.pki import OWN_LINKS
from egops.proxies import rises, short_name, without_window
from egops.rules import rule
from egops.snapshot import Probe, items, text
from egops.traffic import backends_of, owner_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.proxies import Rise
    from egops.snapshot import Location, Proxy, Snapshot

COUNTER = re.compile(r"cluster\.(?P<cluster>.+)\.ssl\.(?P<what>fail_verify_error|fail_verify_san)")


@rule(
    code="EGD-415",
    severity=Severity.ERROR,
    optional=(*ROUTE_KINDS, SECURITY_POLICY, BACKEND_TLS_POLICY, BACKEND),
    probes=(Probe.STATS,),
    optional_probes=(Probe.STATS_AGAIN, Probe.PROXY_LOG),
    since="0.1",
    ok="every backend shows a certificate that its proxies accept",
)
def backend_certificate_rejected(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy rejects the certificate that a backend shows.

    ## Why it matters
    Every connection to this backend fails: requests get 503 (`UF`).

    ## How to fix it
    `fail_verify_san`: `validation.hostname` (or `subjectAltNames`) of the BackendTLSPolicy is none
    of the certificate's names. `fail_verify_error`: it is not issued by the CA of the policy, or
    has ended.
    """
    groups: dict[str, Seen] = {}
    for proxy in snapshot.proxies:
        for rise in rises(proxy, COUNTER.pattern):
            found = COUNTER.fullmatch(rise.name)
            if found and found["cluster"] not in OWN_LINKS:
                groups.setdefault(found["cluster"], Seen([], [])).rises.append(rise)
        for cluster in _logged(proxy, snapshot):
            groups.setdefault(cluster, Seen([], [])).logged.append(proxy)
    for cluster, seen in sorted(groups.items()):
        yield _problem(cluster, seen, snapshot)
    yield from without_window(snapshot)


class Seen(NamedTuple):
    """What tells of a rejected certificate of one cluster."""

    rises: list[Rise]
    logged: list[Proxy]


def _logged(proxy: Proxy, snapshot: Snapshot) -> list[str]:
    """Return the clusters whose certificate was refused in the last minutes, by the access log."""
    if not proxy.has(Probe.PROXY_LOG):
        return []
    return sorted(
        {
            entry.cluster
            for entry in recent(proxy.log, snapshot.taken_at).requests
            if entry.cluster not in ("", *OWN_LINKS)
            and "CERTIFICATE_VERIFY_FAILED" in entry.failure_reason
        }
    )


def _problem(cluster: str, seen: Seen, snapshot: Snapshot) -> Problem:
    proxy = seen.rises[0].proxy if seen.rises else seen.logged[0]
    san = any(rise.name.endswith("fail_verify_san") for rise in seen.rises)
    at = owner_location(cluster, proxy, snapshot)
    return Problem(
        at,
        f"the certificate of cluster {cluster} is refused"
        + (": none of its names is the expected one" if san else ""),
        impact="requests to this backend get 503",
        evidence=tuple(f"{short_name(rise.proxy)}: {rise}" for rise in seen.rises)
        + tuple(f"{short_name(p)}: access log: CERTIFICATE_VERIFY_FAILED" for p in seen.logged),
        why="its names do not include the hostname of the BackendTLSPolicy"
        if san
        else "it is not issued by the CA of the BackendTLSPolicy, or has ended",
        remedy=("match validation.hostname to a name in the backend's certificate",)
        if san
        else ("add the issuing CA to caCertificateRefs, or renew the backend's certificate",),
        confidence=Confidence.HIGH if seen.rises else Confidence.MEDIUM,
        related=tuple(_policies(cluster, snapshot)),
        explains=("EGD-504", "EGD-503"),
        explains_refs=(str(at.ref),),
    )


def _policies(cluster: str, snapshot: Snapshot) -> list[Location]:
    """Return the BackendTLSPolicies of the backends behind a cluster."""
    backends = {(ref.kind_name, ref.namespace, ref.name) for ref in backends_of(cluster, snapshot)}
    return [
        policy.at("spec", "validation")
        for policy in snapshot.all(BACKEND_TLS_POLICY)
        if any(
            (text(target, "kind"), policy.namespace, text(target, "name")) in backends
            for _, target in items(policy.spec, "targetRefs")
        )
    ]
