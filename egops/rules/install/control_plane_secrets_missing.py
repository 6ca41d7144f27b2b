"""EGD-101 control-plane-secrets-missing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.finding import CannotJudge, Problem, Severity
from egops.fleets import pod_trouble
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    EVENT,
    JOB,
    POD,
    SECRET,
    Install,
    installs,
    is_proxy,
    is_ready,
    is_young,
    timestamp,
)
from egops.rules import rule
from egops.snapshot import Location, Ref, SourceType, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot

TLS_KEYS = ("ca.crt", "tls.crt", "tls.key")
NEEDED = {
    "envoy-gateway": TLS_KEYS,
    "envoy": TLS_KEYS,
    "envoy-rate-limit": TLS_KEYS,
    "envoy-oidc-hmac": ("hmac-secret",),
}
# the API server takes no Secret of this type without these keys
GUARANTEED = {"kubernetes.io/tls": {"tls.crt", "tls.key"}}
RECENT = timedelta(minutes=15)


@rule(
    code="EGD-101",
    severity=Severity.ERROR,
    reads=(DEPLOYMENT, SECRET),
    optional=(ENVOY_GATEWAY, POD, JOB, EVENT),
    since="0.1",
    ok="the Secrets of the control plane are there, with all their keys",
)
def control_plane_secrets_missing(snapshot: Snapshot) -> Iterator[Problem]:
    """A Secret that Envoy Gateway and its proxies identify themselves with is missing.

    ## Why it matters
    `envoy-gateway`, `envoy` and `envoy-rate-limit` hold the certificates of the xDS connection,
    `envoy-oidc-hmac` signs OIDC cookies. What runs keeps running; a pod that starts without its
    Secret hangs in `ContainerCreating`.

    ## How to fix it
    Run certgen again: it is a helm hook, so `helm upgrade` with hooks makes the missing Secrets.
    GitOps tools must be told to execute helm hooks. It never overwrites what exists.
    """
    if not snapshot.knows(SECRET):
        raise CannotJudge("no Secret in the input")
    for install in installs(snapshot):
        deployment = install.deployment
        if deployment is None:
            continue
        if snapshot.source.type is SourceType.CLUSTER:
            for name, keys in NEEDED.items():
                if problem := _problem(name, keys, install, deployment, snapshot):
                    yield problem
        yield from _failed_mounts(install, snapshot)


def _problem(
    name: str, keys: tuple[str, ...], install: Install, deployment: Resource, snapshot: Snapshot
) -> Problem | None:
    secret = snapshot.find(SECRET, install.namespace, name)
    missing: list[str] = []
    if secret is not None:
        given = {*section(secret.body, "data"), *section(secret.body, "stringData")}
        given |= GUARANTEED.get(text(secret.body, "type"), set())
        missing = [key for key in keys if key not in given]
        if not missing:
            return None
    at = (
        secret.at("data")
        if secret
        else Location(Ref(SECRET, install.namespace, name), (), deployment.origin, "v1")
    )
    return Problem(
        at,
        f"lacks {', '.join(missing)}" if secret else "does not exist",
        evidence=tuple(_evidence(name, install, snapshot)),
        why="certgen did not run, or somebody deleted the Secret",
        remedy=(
            f"run certgen again: helm upgrade in {install.namespace} with hooks enabled, or a Job "
            f"of image {install.image or 'envoyproxy/gateway'} with the argument certgen",
            "do not restart the control plane or proxies before: they don't start without it",
        ),
        settled=not is_young(deployment, snapshot),
        related=(deployment.at(),),
        explains=("EGD-100", "EGD-361", "EGD-407", "EGD-408", "EGD-448", "EGD-571", "EGD-573"),
    )


def _evidence(name: str, install: Install, snapshot: Snapshot) -> Iterator[str]:
    here = [s.name for s in snapshot.all(SECRET) if s.namespace == install.namespace]
    yield f"of {', '.join(NEEDED)} there are: {', '.join(n for n in NEEDED if n in here) or 'none'}"
    for job in snapshot.all(JOB):
        if job.namespace == install.namespace and "certgen" in job.name:
            yield (
                f"{job.ref}: {number(job.status, 'succeeded')} succeeded, "
                f"{number(job.status, 'failed')} failed"
            )
    for event in _mount_events(install, snapshot):
        if f'"{name}"' in text(event.body, "message"):
            yield f"event FailedMount: {text(event.body, 'message')[:200]}"
            return


def _mount_events(install: Install, snapshot: Snapshot) -> Iterator[Resource]:
    for event in snapshot.all(EVENT):
        if event.namespace != install.namespace or text(event.body, "reason") != "FailedMount":
            continue
        last = timestamp(event.body.get("lastTimestamp") or event.body.get("eventTime"))
        if last is None or snapshot.taken_at - last <= RECENT:
            yield event


def _failed_mounts(install: Install, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield the pods that can't mount their certificates although the Secrets are there."""
    told = set()
    for event in _mount_events(install, snapshot):
        message = text(event.body, "message")
        name = text(event.body, "involvedObject", "name")
        pod = snapshot.find(POD, install.namespace, name)
        if '"certs"' not in message or pod is None or name in told or is_ready(pod):
            continue
        if any(
            f'"{secret}"' in message and not snapshot.find(SECRET, install.namespace, secret)
            for secret in NEEDED
        ):
            continue  # told at the Secret
        ours = is_proxy(pod) or text(pod.labels, "control-plane") == "envoy-gateway"
        if ours or name.startswith("envoy-ratelimit"):
            told.add(name)
            yield Problem(
                pod.at(),
                "cannot mount its certificates (volume certs)",
                evidence=(f"event FailedMount: {message[:200]}", pod_trouble(pod)),
                why=message[:200],
                remedy=("repair the Secret that the event names",),
                settled=not is_young(pod, snapshot),
                explains=("EGD-448",),
            )
