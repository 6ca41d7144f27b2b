"""EGD-129 crd-installed-after-start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.crds import KIND_OF_CRD, our_crds
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    CRD,
    DEPLOYMENT,
    EG_POLICY_KINDS,
    ENVOY_GATEWAY,
    GATEWAY,
    GATEWAY_CLASS,
    LISTENER_SET,
    OURS,
    POD,
    ROUTE_KINDS,
    installs,
    is_attached_to_ours,
    is_young,
    our_ancestors,
    our_parents,
    timestamp,
)
from egops.rules import rule
from egops.snapshot import Probe, entries, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from egops.snapshot import Kind, Resource, Snapshot

SKIPPED = re.compile(r"(\w+) CRD not found, skipping")
WITH_ANCESTORS = (*EG_POLICY_KINDS, BACKEND_TLS_POLICY)
ALWAYS_WATCHED = (GATEWAY, GATEWAY_CLASS)


@rule(
    code="EGD-129",
    severity=Severity.ERROR,
    reads=(CRD, DEPLOYMENT),
    optional=(POD, ENVOY_GATEWAY, *OURS, *KIND_OF_CRD.values()),
    optional_probes=(Probe.EG_LOG,),
    since="0.1",
    ok="Envoy Gateway started after the CRDs it watches were installed",
)
def crd_installed_after_start(snapshot: Snapshot) -> Iterator[Problem]:
    """A CRD was installed after Envoy Gateway started, which does not watch its kind.

    ## Why it matters
    Envoy Gateway looks once, when it starts, which kinds exist ("CRD not found, skipping"). What
    comes later is ignored until it is restarted: the objects are stored and get no status.

    ## How to fix it
    Restart Envoy Gateway: `kubectl rollout restart deployment envoy-gateway`.
    """
    if not snapshot.knows(CRD):
        raise CannotJudge("no CustomResourceDefinition in the input")
    namespaces = {install.namespace for install in installs(snapshot)}
    pods = [
        pod
        for pod in snapshot.all(POD)
        if pod.namespace in namespaces and text(pod.labels, "control-plane") == "envoy-gateway"
    ]
    skipped = _skipped(snapshot)
    for crd in our_crds(snapshot):
        kind = KIND_OF_CRD[crd.name]
        if kind in ALWAYS_WATCHED or not snapshot.all(kind):
            continue
        line = skipped.get(kind.name, "")
        late = [pod for pod in pods if _started_before(pod, crd)]
        if not line and (not pods or len(late) < len(pods)):
            continue
        ignored = _ignored(kind, snapshot, is_skipped=bool(line))
        if not ignored:
            continue
        yield _problem(crd, ignored, late, line, sorted(namespaces))


def _skipped(snapshot: Snapshot) -> dict[str, str]:
    """Return the kinds that a running Envoy Gateway says it skips, with its log line."""
    found = {}
    for control_plane in snapshot.control_planes:
        if control_plane.has(Probe.EG_LOG):
            for line in control_plane.log.splitlines():
                if match := SKIPPED.search(line):
                    found[match.group(1)] = line.strip()
    return found


def _started_before(pod: Resource, crd: Resource) -> bool:
    started, created = _moment(pod.status, "startTime"), _moment(crd.metadata, "creationTimestamp")
    return started is not None and created is not None and started < created


def _moment(value: object, field: str) -> datetime | None:
    return timestamp(text(value, field))


def _ignored(kind: Kind, snapshot: Snapshot, *, is_skipped: bool) -> list[Resource]:
    """Return the objects of the kind that Envoy Gateway ignores.

    All of ours if its log says that it skips the kind, else those without a status. Kinds that
    have no status (HTTPRouteFilter, ReferenceGrant) do not show whether they are watched.
    """
    found = [resource for resource in snapshot.all(kind) if not is_young(resource, snapshot)]
    if kind in ROUTE_KINDS:
        found = [route for route in found if is_attached_to_ours(route, snapshot)]
    if is_skipped:
        return found
    if kind in ROUTE_KINDS:
        return [route for route in found if not our_parents(route, snapshot)]
    if kind in WITH_ANCESTORS:
        return [policy for policy in found if not our_ancestors(policy, snapshot)]
    if kind == LISTENER_SET:
        return [entry for entry in found if not entries(entry.status, "conditions")]
    return []


def _problem(
    crd: Resource, ignored: list[Resource], late: list[Resource], line: str, namespaces: list[str]
) -> Problem:
    kind = ignored[0].kind.name
    shown = ", ".join(f"{r.namespace}/{r.name}" for r in ignored[:5])
    created = text(crd.metadata, "creationTimestamp")
    return Problem(
        crd.at(),
        f"was installed after Envoy Gateway started: {len(ignored)} {kind} objects are ignored",
        evidence=(
            f"objects: {shown}{', …' if len(ignored) > 5 else ''}",
            f"CRD created {created}",
            *(f"{pod.ref} started {text(pod.status, 'startTime')}" for pod in late[:3]),
            *([f"log: {line[:200]}"] if line else []),
        ),
        why="Envoy Gateway decides what it watches when it starts",
        remedy=tuple(
            f"kubectl -n {namespace} rollout restart deployment envoy-gateway"
            for namespace in namespaces
        ),
        explains=("EGD-144", "EGD-243", "EGD-341", "EGD-355", "EGD-446"),
        explains_refs=tuple(str(resource.ref) for resource in ignored),
    )
