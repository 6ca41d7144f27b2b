"""EGD-411 rate-limit-trust-stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, POD, SECRET
from egops.pki import changed_at, is_rate_limit, pair, secret_for, started_at
from egops.proxies import age
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

CONTAINER = "envoy-ratelimit"


@rule(
    code="EGD-411",
    severity=Severity.ERROR,
    reads=(SECRET, POD),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="every rate limit pod started after its Secret was last written",
)
def rate_limit_trust_stale(snapshot: Snapshot) -> Iterator[Problem]:
    """A rate limit pod runs since before its Secret was written.

    ## Why it matters
    The service reads CA and certificate of its connection to Envoy Gateway only when it starts.
    Once the old CA is gone, it is refused with its next connection and gets no limits any more: it
    goes on with those it has, and a pod that starts then has none.

    ## How to fix it
    Restart the pods: `kubectl rollout restart deployment/envoy-ratelimit`.
    """
    for pod in snapshot.all(POD):
        if not is_rate_limit(pod):
            continue
        secret = secret_for("envoy-rate-limit", pod.namespace, snapshot)
        began = started_at(pod, CONTAINER)
        changed = changed_at(secret) if secret is not None else None
        if secret is None or began is None or changed is None or began >= changed:
            continue
        authorities = pair(secret).authorities
        is_new = bool(authorities) and all(each.not_before > began for each in authorities)
        yield Problem(
            pod.at(),
            f"runs since before {secret.ref} was written",
            impact="Envoy Gateway refuses it with its next connection"
            if is_new
            else "it may be refused by Envoy Gateway with its next connection",
            evidence=(
                f"the container started {age(began, snapshot)} ago",
                f"the Secret was written {age(changed, snapshot)} ago",
                *(f"CA now: {each}" for each in authorities),
            ),
            why="every CA in the Secret is younger than the pod" if is_new else "",
            remedy=(f"kubectl -n {pod.namespace} rollout restart deployment/{CONTAINER}",),
            severity=None if is_new else Severity.WARNING,
            related=(secret.at(),),
        )
