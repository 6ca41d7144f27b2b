"""EGD-574 rate-limit-not-enforced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import ROUTE_KINDS
from egops.proxies import location_of, rises, short_name, without_window
from egops.rules import rule
from egops.snapshot import Probe
from egops.traffic import owner_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.proxies import Rise
    from egops.snapshot import Snapshot

UNANSWERED = re.compile(
    r"cluster\.(?P<cluster>.+)\.ratelimit\.(?P<what>error|failure_mode_allowed)"
)


@rule(
    code="EGD-574",
    severity=Severity.WARNING,
    optional=ROUTE_KINDS,
    optional_probes=(Probe.STATS, Probe.STATS_AGAIN),
    since="0.1",
    ok="the rate limit service answers every proxy that asks it",
)
def rate_limit_not_enforced(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """The rate limit service does not answer, so global limits are not enforced.

    ## Why it matters
    By default a request whose limit cannot be checked passes: the backend that the limit protects
    gets all of the traffic, and nothing else shows it. With `failClosed: true` such requests are
    refused instead.

    ## How to fix it
    Look at the Deployment `envoy-ratelimit` and at its log: it is gone, has lost Redis, or takes
    longer than the 20 ms that Envoy waits (`rateLimit.timeout` in the EnvoyGateway configuration).
    After a rotation of certificates see EGD-411 and EGD-434.
    """
    seen: dict[str, list[Rise]] = {}
    for proxy in snapshot.proxies:
        for rise in rises(proxy, UNANSWERED.pattern):
            found = UNANSWERED.fullmatch(rise.name)
            if found is not None:
                seen.setdefault(found["cluster"], []).append(rise)
    for cluster, grown in sorted(seen.items()):
        yield _problem(cluster, grown, snapshot)
    yield from without_window(snapshot)


def _problem(cluster: str, grown: list[Rise], snapshot: Snapshot) -> Problem:
    passed = any(rise.name.endswith(".failure_mode_allowed") for rise in grown)
    proxies = {rise.proxy.name: rise.proxy for rise in grown}
    return Problem(
        owner_location(cluster, grown[0].proxy, snapshot),
        f"the rate limit service does not answer for cluster {cluster}",
        impact="requests pass without their limit being checked"
        if passed
        else "requests whose limit cannot be checked are refused",
        evidence=tuple(
            f"{short_name(rise.proxy)}: {rise}".replace(f"cluster.{cluster}.", "")
            for rise in grown[:6]
        ),
        remedy=(
            "kubectl -n envoy-gateway-system logs deploy/envoy-ratelimit --tail=50",
            "egops doctor --only EGD-411,EGD-434 if certificates were rotated",
        ),
        related=tuple(location_of(proxy) for proxy in proxies.values()),
    )
